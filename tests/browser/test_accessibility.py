"""Every page of the console under axe-core, light and dark, wide and narrow: nothing to complain
about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.browser import seeds
from tests.browser.test_flows import STYLED, WIDE
from tests.browser.visit import Visit, visiting
from tests.e2e.process import Interceptor, wait_until
from tests.flows.seed import IDS
from tests.flows.seed_session import SESSION, TURN_IDS
from tests.shapes.captured import NEWEST

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.usefixtures("seeded"),
]
SEED = seeds.every_page
LOOK = (Path(__file__).parent / "axe" / "look.js").read_text()
LOOK_RULES = ["color-contrast", "link-in-text-block", "scrollable-region-focusable"]
"""What other colours and another width can change."""
ROWS_SEEN_BEFORE = "tr.flow:nth-of-type(n+6)"
"""The list without a filter shows each row; a list of some of them looks at the first ones."""
THEMED = """async scheme => {
    const is_themed = () => !document.querySelector('#page')
        || document.documentElement.classList.contains('dark') === (scheme === 'dark');
    while (!is_themed()) await new Promise(requestAnimationFrame);
}"""
SCROLLS = "document.documentElement.scrollWidth > innerWidth"
SWAGGERS_OWN = ("heading-order", "region")
"""Rules that the script of Swagger's page breaks by itself."""
WIDTHS = {"light": {"width": 1280, "height": 800}, "dark": {"width": 390, "height": 844}}
SHAPE_TABS = ("request", "fields", "patches")
FLOW_TABS = ("chat", "client", "forwarded", "response", "changes", "context", "timing")
PAGES = {
    "list": "/flows/",
    "list-filtered": "/flows/?status=4xx&error=true",
    "list-grouped": "/flows/?group=session",
    "list-none": "/flows/?provider=nobody",
    "list-problem": "/flows/?cost_min_usd=x",
    "list-jq": "/flows/?jq=map(.id)",
    **{f"flow-{tab}": f"/flows/{IDS['redirect']}/?tab={tab}" for tab in FLOW_TABS},
    "flow-events": f"/flows/{IDS['anthropic']}/?tab=response&view=events",
    "flow-live": f"/flows/{IDS['live']}/",
    "flow-failed": f"/flows/{IDS['failed']}/",
    "flow-messages": f"/flows/{IDS['websocket']}/?tab=messages",
    "flow-hostile": f"/flows/{IDS['hostile']}/?tab=changes",
    "flow-hook": f"/flows/{IDS['redirect']}/?tab=changes&hook=0",
    "flow-images": f"/flows/{TURN_IDS[1]}/?all=1",
    "flow-missing": "/flows/nobody/",
    "copy": f"/flows/{IDS['redirect']}/as/curl",
    "import": "/flows/import/",
    "sessions": "/flows/sessions/",
    "session": f"/flows/session/{SESSION}/",
    "session-timeline": f"/flows/session/{SESSION}/?tab=timeline",
    "session-context": f"/flows/session/{SESSION}/?tab=context",
    "usage": "/usage/",
    "dashboard": "/dashboard/",
    "explain": f"/explain/?flow={IDS['redirect']}",
    "explain-empty": "/explain/",
    "models": "/models/?model=claude-opus-5-5",
    "rule-trial": "/explain/rule/?id=1",
    "diff": f"/flows/diff/{IDS['redirect']}/{IDS['anthropic']}/",
    "resend": f"/flows/{IDS['redirect']}/resend/",
    "shapes": "/shapes/",
    **{f"shape-{tab}": f"/shapes/anthropic/2/?tab={tab}" for tab in SHAPE_TABS},
    "shape-diff": "/shapes/anthropic/1/diff/2/",
    "shape-preview-empty": "/shapes/anthropic/2/preview/",
    "shape-preview": f"/shapes/anthropic/2/preview/?flow={IDS['anthropic']}",
    "shape-review": f"/shapes/capture/{NEWEST}/?type=anthropic",
    "shape-refused": f"/shapes/capture/{IDS['failed']}/?type=anthropic",
    "session-missing": "/flows/session/nobody/",
    "list-peek": f"/flows/?peek={TURN_IDS[1]}",
    "list-sorted": "/flows/?sort=-cost&columns=time.request.said.client.tokens.cost.speed",
    "flow-messages-turns": f"/flows/{IDS['websocket']}/?tab=turns",
    "not-found": "/no/such/page/",
}
"""Pages beside those of the navigation, of flows and of the admin."""


def complaints(
    visit: Visit,
    axe: str,
    *,
    may_scroll: bool = False,
    left_out: Sequence[str] = (),
    seen: set[int] | None = None,
    schemes: Iterable[str] = ("dark", "light"),
) -> list[Any]:
    """What axe-core finds on the page as it is, and what makes it scroll sideways: wide and light,
    narrow and dark.

    `may_scroll`: a page of others, whose parts may be wide while the page itself is not.
    `left_out`: selectors of parts that axe-core has seen on another page; they are taken out.
    `seen`: the kinds of texts whose contrast was looked at; those of this page are added.
    `schemes`: keys of WIDTHS in their order; the page is left in the last one.
    """
    load_axe(visit.page, axe)
    found: list[Any] = []
    seen = set() if seen is None else seen
    for scheme in schemes:
        visit.page.emulate_media(color_scheme=scheme)
        visit.page.set_viewport_size(WIDTHS[scheme])
        # The admin's theme follows the system by a script.
        visit.page.evaluate(THEMED, scheme)
        rules = LOOK_RULES if scheme == "dark" else []
        kinds, problems = visit.page.evaluate(LOOK, [rules, list(left_out), list(seen)])
        seen |= set(kinds)
        found += [[scheme, *problem] for problem in problems]
        if not may_scroll:
            found += [[scheme, "too wide", part] for part in visit.page.evaluate(WIDE)]
        elif visit.page.evaluate(SCROLLS):
            found.append([scheme, "too wide", "the page"])
    return found


def load_axe(page: Any, axe: str) -> None:
    """Run the script in the page, as its own scripts run: Chromium keeps its compiled form."""
    session = page.context.new_cdp_session(page)
    done = session.send("Runtime.evaluate", {"expression": axe})
    session.detach()
    assert "exceptionDetails" not in done, done


def found_on(
    visit: Visit, axe: str, pages: dict[str, str], *, may_scroll: bool = False
) -> list[str]:
    """Lines about the pages that have something to complain about."""
    lines = []
    seen: set[int] = set()
    schemes = list(WIDTHS)
    for name, address in pages.items():
        visit.go(address)
        left_out = [ROWS_SEEN_BEFORE] if name.startswith("list-") else []
        if not may_scroll and visit.page.evaluate(STYLED):
            lines.append(f"{name}: styles stand in its markup")
        found = complaints(
            visit, axe, may_scroll=may_scroll, left_out=left_out, seen=seen, schemes=schemes
        )
        # The next page begins as this one ends: to lay a page out once more takes as long as a rule.
        schemes.reverse()
        lines += [f"{name}: {problem}" for problem in found]
    # What is missing.
    visit.complaints[:] = [
        text for text in visit.complaints if "404" not in text and "409" not in text
    ]
    return lines


def test_no_page_keeps_anybody_out(
    browser: Any, interceptor: Interceptor, state: Any, axe: str
) -> None:
    with visiting(browser, interceptor, state) as visit:
        found = found_on(visit, axe, PAGES)
    assert not found, "\n".join(found)


def test_neither_does_a_page_of_the_navigation_or_a_form(
    browser: Any, interceptor: Interceptor, state: Any, axe: str
) -> None:
    known = set(PAGES.values())
    pages = interceptor.call(seeds.pages_of_the_navigation)
    pages |= interceptor.call(seeds.forms_of_the_admin)
    rest = {name: address for name, address in pages.items() if address not in known}
    swagger = rest.pop("API docs")
    with visiting(browser, interceptor, state) as visit:
        found = found_on(visit, axe, rest, may_scroll=True)
        visit.go(swagger).locator(".opblock").first.wait_for()
        of_swagger = complaints(visit, axe, may_scroll=True)
    found += [f"API docs: {each}" for each in of_swagger if each[1] not in SWAGGERS_OWN]
    assert len(rest) > 30
    assert not found, "\n".join(found)


FINDINGS = {
    "why the cache broke": (
        [f"#f-{TURN_IDS[1]} .tag:has-text('cache broke')"],
        "The cache broke at",
    ),
    "what was lost in translation": (
        [f"#f-{IDS['redirect']} .open", ".tabs a:has-text('Changes')"],
        "The target could not express",
    ),
    "which hook changed what": (
        [f"#f-{IDS['redirect']} .tag:has-text('Δ')", ".rail li.did a:has-text('trim_tools')"],
        "tools[name=Bash]",
    ),
    "what the session cost": ([f"#f-{TURN_IDS[1]} .session-dot"], "Cost"),
}
"""What a person wants to know → the clicks from the list, and words that then stand on the page."""


def test_what_people_look_for_is_two_clicks_away(
    browser: Any, interceptor: Interceptor, state: Any
) -> None:
    """On a phone, where least is in sight; tests/browser/test_demo_answers.py asks the same on a
    wide screen.
    """
    # The link, which names the break, is made a little after the flows.
    link = "select 1 from flows_flowlink where flow_id=? and relation='broken'"
    wait_until(lambda: bool(interceptor.rows(link, TURN_IDS[1])), "the break is found")
    with visiting(browser, interceptor, state, viewport=WIDTHS["dark"]) as visit:
        for clicks, words in FINDINGS.values():
            page = visit.go("/flows/")
            assert len(clicks) <= 2
            for selector in clicks:
                page.locator(selector).first.click()
            page.locator("main").get_by_text(words).first.wait_for()


HIDDEN = """[...document.querySelectorAll('table.events:not(.session-list) thead :is(th, td):not(.gap)')]
    .filter(cell => getComputedStyle(cell).display === 'none').map(cell => cell.textContent.trim())"""
TABLES = {
    "messages": f"/flows/{IDS['websocket']}/?tab=messages",
    "events": f"/flows/{IDS['anthropic']}/?tab=response&view=events",
    "requests": f"/flows/session/{SESSION}/?tab=timeline",
}


def test_a_phone_hides_no_column_of_a_table(
    browser: Any, interceptor: Interceptor, state: Any
) -> None:
    with visiting(browser, interceptor, state, viewport=WIDTHS["dark"]) as visit:
        for name, address in TABLES.items():
            page = visit.go(address)
            page.locator("table.events").first.wait_for()
            assert page.evaluate(HIDDEN) == [], name


def test_neither_does_what_opens_on_a_page(
    browser: Any, interceptor: Interceptor, state: Any, axe: str
) -> None:
    with visiting(browser, interceptor, state) as visit:
        page = visit.go("/flows/?provider=local")
        page.locator("summary", has_text="Filters").click()
        assert complaints(visit, axe) == []
        page.keyboard.press("Escape")
        page.locator("summary", has_text="Saved").click()
        page.locator(".edit summary").click()
        assert complaints(visit, axe) == []
        page = visit.go("/flows/")
        page.keyboard.press("?")
        page.locator("#help[open]").wait_for()
        assert complaints(visit, axe) == []
        page = visit.go("/explain/rule/?id=1")
        page.locator("#id_match_model").fill("haiku")
        page.get_by_role("button", name="Try it").click()
        page.locator("table.trial").wait_for()
        assert complaints(visit, axe) == []


def test_axe_would_complain(browser: Any, interceptor: Interceptor, state: Any, axe: str) -> None:
    with visiting(browser, interceptor, state) as visit:
        visit.go("/explain/")
        visit.page.evaluate("document.querySelector('textarea').labels[0].remove()")
        assert [problem[1] for problem in complaints(visit, axe)] == ["label"]


def test_axe_would_complain_about_each_new_kind_of_text(
    browser: Any, interceptor: Interceptor, state: Any, axe: str
) -> None:
    with visiting(browser, interceptor, state) as visit:
        seen: set[int] = set()
        visit.go("/explain/")
        assert complaints(visit, axe, seen=seen) == []
        known = len(seen)
        visit.go("/explain/")
        assert complaints(visit, axe, seen=seen) == []
        assert len(seen) == known
        visit.go("/explain/")
        visit.page.evaluate("document.querySelector('main label').style.color = '#888'")
        found = complaints(visit, axe, seen=seen)
        assert {(scheme, rule) for scheme, rule, *_ in found} == {("light", "color-contrast")}


BAD_LOOKS = {
    "a veil": ("<p data-css='opacity: .3'>Hard to read</p>", "color-contrast"),
    "a colour": (
        "<p data-css='background: #777'><b data-css='color: #999'>Hard to read</b></p>",
        "color-contrast",
    ),
    "a translucent colour": (
        "<p data-css='color: rgb(128 128 128 / .3)'>Hard to read</p>",
        "color-contrast",
    ),
    "a part that lies behind": (
        "<div data-css='position: relative'><div data-css='position: absolute; inset: 0;"
        " background: #777'></div><p data-css='position: relative; color: #999'>Hard to read</p></div>",
        "color-contrast",
    ),
    "a link like its text": (
        "<p data-css='background: #fff; color: #000'>Read <a href='/' data-css='color: #222;"
        " text-decoration: none'>this</a> first</p>",
        "link-in-text-block",
    ),
}
"""Parts that are hard to see, and the rule that has to find them."""
PUT = """part => {
    document.querySelector('main').innerHTML = part;
    for (const each of document.querySelectorAll('main [data-css]')) each.style.cssText = each.dataset.css;
}"""
"""Fills the page; its policy refuses styles that stand in the markup."""


def test_axe_would_complain_about_each_bad_look(
    browser: Any, interceptor: Interceptor, state: Any, axe: str
) -> None:
    with visiting(browser, interceptor, state) as visit:
        page = visit.go("/explain/")
        seen: set[int] = set()
        assert complaints(visit, axe, seen=seen) == []
        for name, (part, rule) in BAD_LOOKS.items():
            page.evaluate(PUT, part)
            for scheme in WIDTHS:
                found = complaints(visit, axe, seen=set(seen), schemes=[scheme])
                assert rule in {each[1] for each in found}, (name, scheme)
