"""Answers that a newcomer looks for on the demo: each stands on a page at most two clicks away."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest

from tests.browser.visit import visiting
from tests.e2e.process import Interceptor


class Answer(NamedTuple):
    """Clicks from the list, and words that then stand in sight."""

    clicks: tuple[str, ...]
    words: tuple[str, ...]


ANSWERS = {
    "why the cache broke": Answer(
        (".tag:has-text('cache broke')",),
        (
            r"The cache broke at system\[0\], changed by the client",
            r"so 2\.0 k were lost, for \$0\.\d+ more",
        ),
    ),
    "what was lost in translation": Answer(
        (".tag:has-text('losses')",),
        ("The target could not express", "top_k"),
    ),
    "which hook changed what": Answer(
        (".tag:has-text('Δ')", ".rail li.did a:has-text('verbose_mode')"),
        ("verbose_mode", "redact-thinking-2026-02-12"),
    ),
    "what the session cost": Answer(
        (".session-dot",),
        (r"\$0\.0\d+",),
    ),
}


@pytest.fixture(scope="module")
def demo(interceptor: Interceptor) -> Interceptor:
    """The console with what `ccproxy demo` records, linked."""
    done = interceptor.command("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    interceptor.wait_for_flows(13, "provider='demo' and session_id<>'' and indexed")
    return interceptor


@pytest.mark.parametrize("width", [1280, 390])
def test_an_answer_is_two_clicks_away_on_the_demo(
    browser: Any, demo: Interceptor, state: Any, width: int
) -> None:
    with visiting(browser, demo, state, viewport={"width": width, "height": 844}) as visit:
        for wanted, answer in ANSWERS.items():
            assert len(answer.clicks) <= 2, wanted
            page = visit.go("/flows/")
            for selector in answer.clicks:
                page.locator(selector).first.click()
            for words in answer.words:
                page.locator("main").get_by_text(re.compile(words)).first.wait_for()
            visit.picture(f"demo-{wanted.replace(' ', '-')}-{width}")
