"""docs/credentials.md says what the code does."""

from __future__ import annotations

import re

import pytest

from interceptor.config.files.document import parse_document
from interceptor.config.files.whole_file import check_file
from interceptor.config.transfer.importer import import_sections
from providers.auth.oauth_kinds import OAUTH_KEYS, OAUTH_KINDS
from tests.environment import ROOT

PAGE = (ROOT / "docs/credentials.md").read_text()


@pytest.mark.django_db
def test_the_examples_can_be_imported() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        file = check_file(parse_document(example, "docs/credentials.md"))
        assert import_sections(file.sections, file.document).changes


def test_every_setting_and_default_is_there() -> None:
    assert [key for key in OAUTH_KEYS if f"`{key}`" not in PAGE] == []
    for kind in OAUTH_KINDS.values():
        values = [
            value
            for key, value in kind.items()
            if key not in ("client_id", "default_expires_in_seconds")
        ]
        assert [value for value in values if f"`{value}`" not in PAGE] == []
