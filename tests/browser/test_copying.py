"""Copy buttons in a real browser: what is in the clipboard is what the page is about, by mouse and
by key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.visit import Visit, visiting
from tests.e2e.process import Interceptor
from tests.flows.seed import IDS, SESSION

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.usefixtures("seeded"),
]


@pytest.fixture
def copier(browser: Any, interceptor: Interceptor, state: Any) -> Iterator[Visit]:
    """A page that may use the clipboard."""
    with visiting(
        browser, interceptor, state, permissions=["clipboard-read", "clipboard-write"]
    ) as visit:
        yield visit


def clipboard(page: Any) -> str:
    page.locator("#told", has_text="copied").wait_for(state="attached")
    page.evaluate("document.querySelector('#told').textContent = ''")
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_ids_headers_and_bodies_of_every_side(copier: Visit) -> None:
    page = copier.go(f"/flows/{IDS['redirect']}/?tab=client")
    page.get_by_text("All facts").click()
    page.get_by_title("Copy the flow’s id").click()
    assert clipboard(page) == IDS["redirect"]
    page.get_by_label("Copy the session’s id").press("Enter")
    assert clipboard(page) == SESSION
    for tab, model in (("client", "claude-sonnet-4-5"), ("forwarded", "qwen3-coder")):
        page = copier.go(f"/flows/{IDS['redirect']}/?tab={tab}")
        page.keyboard.press("y")
        assert json.loads(clipboard(page))["model"] == model
        page.get_by_role("button", name="Copy headers").click()
        lines = clipboard(page).splitlines()
        assert [line.split(": ")[0] for line in lines] == page.locator(
            "tr[data-header] th"
        ).all_inner_texts()
        assert all(": " in line for line in lines)
    page = copier.go(f"/flows/{IDS['chat']}/?tab=response&view=tree")
    page.keyboard.press("y")
    assert json.loads(clipboard(page))["choices"]
    page = copier.go(f"/flows/{IDS['chat']}/?tab=chat&view=raw")
    page.get_by_role("button", name="Copy", exact=True).first.click()
    assert "messages" in json.loads(clipboard(page))


def test_the_key_copies_the_id_of_the_chosen_row(copier: Visit) -> None:
    page = copier.go("/flows/?provider=local")
    page.keyboard.press("j")
    page.keyboard.press("y")
    assert clipboard(page) == IDS["redirect"]


def test_where_the_clipboard_is_closed_the_page_says_what_happened(copier: Visit) -> None:
    page = copier.go(f"/flows/{IDS['chat']}/")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')) }")
    page.get_by_text("All facts").click()
    page.get_by_title("Copy the flow’s id").click()
    page.locator("#told", has_text="copied").wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()") == IDS["chat"]
    page.wait_for_timeout(1300)
    page.evaluate("() => { document.execCommand = () => false }")
    page.get_by_title("Copy the flow’s id").click()
    page.get_by_role("button", name="not copied").wait_for()
