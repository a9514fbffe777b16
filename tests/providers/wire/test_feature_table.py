"""docs/translation.md says what the translation does, feature by feature."""

from __future__ import annotations

from tests.providers.wire.feature_table import FEATURES, PAGE, cell, with_table


def test_the_page_has_the_current_table() -> None:
    page = PAGE.read_text()
    assert with_table(page) == page, "run: python -m tests.providers.wire.feature_table"


def test_a_feature_that_is_lost_or_refused_says_so() -> None:
    cells = {(one.name, dst): cell(one, dst) for one in FEATURES for dst in ("openai_chat",)}
    assert cells["top_k", "openai_chat"] != "kept"
    assert cells["web search alone", "openai_chat"].startswith("**400** ")
    assert cells["tools", "openai_chat"] == "kept"
