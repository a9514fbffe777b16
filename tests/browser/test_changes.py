"""Comparing two flows that were marked in the list, and finding one's way among changes, with the
keyboard.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser import seeds
from tests.browser.visit import Visit, visiting
from tests.e2e.process import Interceptor
from tests.flows.seed import IDS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.usefixtures("seeded"),
]


def test_two_marked_rows_are_compared_with_d(visit: Visit) -> None:
    page = visit.go("/flows/")
    page.keyboard.press("j")
    page.keyboard.press("m")
    page.wait_for_selector("#marked >> text=mark another one")
    page.click(f"[id='f-{IDS['redirect']}'] .mark")
    assert page.url.endswith("/flows/"), "marking does not open the flow"
    page.click(f"[id='f-{IDS['anthropic']}'] .mark")  # the oldest mark gives way
    assert page.locator("tr.marked").count() == 2
    visit.picture("marked")
    page.reload()
    page.wait_for_selector("#marked")
    page.keyboard.press("d")
    page.wait_for_url(f"**/flows/diff/{IDS['redirect']}/{IDS['anthropic']}/")
    assert page.inner_text(".outcome").startswith("As the clients sent them: different in")
    page.keyboard.press("3")
    page.wait_for_url("**of=answer")
    visit.picture("pair-seeded")
    page.keyboard.press("Escape")
    page.wait_for_selector("#marked")
    page.click("text=Unmark")
    assert page.locator("#marked").count() == 0
    page.keyboard.press("d")
    assert page.url.endswith("/flows/")


def test_r_sends_the_chosen_row_again(visit: Visit) -> None:
    page = visit.go("/flows/?provider=local")
    page.keyboard.press("j")
    page.keyboard.press("r")
    page.wait_for_url(f"**/flows/{IDS['redirect']}/resend/")
    page.keyboard.press("2")
    page.wait_for_url("**as=forwarded")
    assert "gone or switched off" in page.inner_text("#preview .problem")
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-act=resend]")


def test_a_mark_and_the_flow_that_is_open(visit: Visit) -> None:
    page = visit.go(f"/flows/{IDS['redirect']}/")
    page.keyboard.press("m")
    page.wait_for_selector("#marked >> text=mark another one")
    page = visit.go(f"/flows/{IDS['anthropic']}/")
    page.click("#marked a")
    page.wait_for_url(f"**/flows/diff/{IDS['redirect']}/{IDS['anthropic']}/")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_n_and_p_go_from_change_to_change(
    browser: Any, interceptor: Interceptor, state: Any, width: int, scheme: str
) -> None:
    with visiting(
        browser, interceptor, state, viewport={"width": width, "height": 900}, color_scheme=scheme
    ) as visit:
        page = visit.go(f"/flows/{IDS['redirect']}/?tab=changes")
        page.wait_for_selector("[data-jumps]:not([hidden])")
        count = page.locator("[data-change]").count()
        assert count > 2
        assert page.inner_text("[data-place]") == f"{count} changes"
        page.keyboard.press("n")
        page.keyboard.press("n")
        assert page.inner_text("[data-place]") == f"2 of {count}"
        assert page.evaluate("document.activeElement === document.querySelector('.here')")
        assert page.evaluate("(() => { const r = document.querySelector('.here').getBoundingClientRect();"
                             " return r.top >= 0 && r.top < innerHeight })()")  # fmt: skip
        page.click("[data-act=previous-change]")
        assert page.inner_text("[data-place]") == f"1 of {count}"
        page.keyboard.press("p")
        assert page.inner_text("[data-place]") == f"{count} of {count}"
        assert page.locator(".rail .plus").count() >= 1
        visit.picture(f"changes-{width}-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.keyboard.press("?")
        assert "next, previous change" in page.inner_text("#help")
        visit.picture(f"help-{width}-{scheme}")


def test_losses_of_a_translation_are_listed_and_reordering_can_be_hidden(
    visit: Visit, interceptor: Interceptor
) -> None:
    interceptor.call(seeds.loss_and_reordering, "chat")
    page = visit.go(f"/flows/{IDS['chat']}/?tab=changes")
    assert "top_k" in page.inner_text(".change") and "no such setting" in page.inner_text(".change")
    assert "only moved" in page.inner_text(".change")
    page.click("text=Hide reordering")
    page.wait_for_url("**order=hide")
    assert "only moved" not in page.inner_text(".change")
    page.click("text=Show reordering")
    page.wait_for_selector("text=only moved")
