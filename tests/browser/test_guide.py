"""Every screen that the guide to the console shows opens, and its keys are those of the help sheet.

tests/pictures takes the pictures; tests/test_docs_links.py looks after them.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser import seeds
from tests.browser.visit import Visit, visiting
from tests.e2e.process import Interceptor
from tests.environment import ROOT
from tests.flows.seed import IDS
from tests.flows.seed_session import SESSION, TURN_IDS

GUIDE = (ROOT / "docs/console.md").read_text()
SEED = seeds.guide
FLOW, TURN = f"/flows/{IDS['redirect']}/", f"/flows/{TURN_IDS[1]}/"
SCREENS = {
    "list": ("/flows/", "tr.flow"),
    "filters": ("/flows/?status=4xx", ".chip"),
    "saved": ("/flows/?error=true", ".chip"),
    "jq": (
        "/flows/?jq=group_by(.provider)|map({provider:.[0].provider,flows:length})",
        "#jq-value",
    ),
    "conversation": (f"{TURN}?all=1", ".turn.final"),
    "client": (f"{FLOW}?tab=client", ".tree"),
    "response": (f"/flows/{IDS['anthropic']}/?tab=response&view=events", ".events"),
    "changes": (f"{FLOW}?tab=changes", ".rail"),
    "context": (f"/flows/{TURN_IDS[2]}/?tab=context", ".bar-chart"),
    "timing": (f"/flows/{IDS['anthropic']}/?tab=timing", "svg.timing"),
    "messages": (f"/flows/{IDS['websocket']}/?tab=messages", ".events"),
    "copy": (f"{FLOW}as/curl", "#copied"),
    "import": ("/flows/import/", "input[type=file]"),
    "resend": (f"{FLOW}resend/", "#send"),
    "diff": (f"/flows/diff/{TURN_IDS[0]}/{TURN_IDS[1]}/", ".outcome"),
    "explain": (f"/explain/?flow={IDS['anthropic']}", "h2"),
    "rule-trial": ("/explain/rule/?id=1", ".rule-form"),
    "session": (f"/flows/session/{SESSION}/?tab=context", ".columns-chart"),
    "usage": ("/usage/", ".columns-chart"),
    "rules": ("/admin/providers/transformrule/", "#changelist"),
    "credentials": ("/admin/providers/provider/auth-board/", "table"),
}


def opened(visit: Visit, name: str) -> None:
    """What somebody does on the screen before they read it."""
    page = visit.page
    if name in ("filters", "saved"):
        page.locator("summary", has_text=name.capitalize()).click()
    elif name == "rule-trial":
        page.locator("#id_match_model").fill("haiku")
        page.get_by_role("button", name="Try it").click()
        page.locator("table.trial").wait_for()


@pytest.mark.browser
@pytest.mark.e2e
def test_every_screen_opens(browser: Any, seeded: Interceptor, state: Any) -> None:
    with visiting(browser, seeded, state, viewport={"width": 1100, "height": 660}) as visit:
        for name, (address, there) in SCREENS.items():
            visit.go(address)
            visit.page.locator(there).first.wait_for()
            opened(visit, name)
        page = visit.go("/flows/")
        page.keyboard.press("?")
        sheet = (
            page.locator("#help dt").all_inner_texts(),
            page.locator("#help dd").all_inner_texts(),
        )
    table = re.findall(
        r"^\| (`.*`) \| (.*) \|$", GUIDE.split("## Keys")[1].split("\n## ")[0], re.MULTILINE
    )
    assert [(keys.replace("`", ""), what) for keys, what in table] == list(zip(*sheet, strict=True))


def test_every_screen_is_in_the_guide() -> None:
    pages = [ROOT / "docs/console.md", *(ROOT / "docs/console").glob("*.md")]
    shown = {
        name
        for page in pages
        for name in re.findall(
            r"!\[[^\]]+\]\([./]*images/console-([a-z-]+)\.png\)", page.read_text()
        )
    }
    assert {*SCREENS, "keys"} - shown == set()
