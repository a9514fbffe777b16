"""The HTML file of a session, opened from disk: nothing is asked, nothing is blocked, axe is content."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.export.session_file import session_html
from flows.queries.sessions import session
from tests.browser.test_accessibility import LOOK, LOOK_RULES, WIDTHS, load_axe
from tests.browser.test_flows import WIDE
from tests.browser.visit import patient_context
from tests.flows.seed_session import SESSION, seed_session

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


@pytest.fixture(scope="module", autouse=True)
def _database_beside_a_loop() -> Iterator[None]:
    """Playwright's loop runs in this thread, and Django would refuse the database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the seeded session."""
    seed_session()
    found = session(SESSION)
    assert found is not None
    path = tmp_path / "session.html"
    path.write_text(session_html(found))
    return path


def test_the_file_works_alone(file: Path, browser: Any, axe: str) -> None:
    # Out of the policy's sight, so that axe itself may run; what the page does is still watched.
    context = patient_context(browser, viewport=WIDTHS["light"], offline=True)
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    assert [url for url in asked if not url.startswith("data:image/")] == [file.as_uri()]

    assert page.evaluate("document.querySelector('img').naturalWidth") == 96
    page.fill("#search", "carriage return")
    page.locator("#found", has_text="1 message").wait_for()
    shown = page.locator("#conversation .turn:not([hidden])")
    assert shown.count() == 1
    page.fill("#search", "")
    page.locator("#conversation .turn[hidden]").first.wait_for(state="detached")
    page.click("#open-all")
    assert page.locator("#conversation details:not([open])").count() == 0
    page.locator("#conversation .to-flow").first.click()
    page.locator("details.raw-flow[open]").wait_for()
    blocked = page.evaluate("fetch('https://example.org/').then(() => 'sent', () => 'blocked')")
    assert blocked == "blocked"
    assert all("Content Security Policy" in text for text in complaints), complaints
    context.close()
    assert found_by_axe(file, browser, axe) == []


def found_by_axe(file: Path, browser: Any, axe: str) -> list[Any]:
    context = patient_context(browser, viewport=WIDTHS["light"], bypass_csp=True)
    page = context.new_page()
    page.goto(file.as_uri())
    load_axe(page, axe)
    found: list[Any] = []
    for scheme, size in WIDTHS.items():
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        rules = LOOK_RULES if scheme == "dark" else []
        _, problems = page.evaluate(LOOK, [rules, [], []])
        found += problems
        found += page.evaluate(WIDE)
    context.close()
    return found
