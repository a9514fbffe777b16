"""The flow console in a real browser, on a real interceptor with a scripted provider."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser import seeds
from tests.browser.visit import Visit, patient_context, visiting
from tests.e2e.conftest import REAL_KEY
from tests.e2e.process import Interceptor
from tests.e2e.test_websocket import dial
from tests.fakes.upstream import Script, Upstream, sse
from tests.flows.seed import IDS
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.browser, pytest.mark.e2e]
BODY = {
    "model": "demo-1",
    "max_tokens": 99,
    "stream": True,
    "messages": [{"role": "user", "content": "Count, please"}],
}
WIDE = (
    "document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('main"
    " *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e =>"
    " e.outerHTML.slice(0, 120))"
)
STYLED = "document.querySelectorAll('main [style]').length"
"""Counts the elements whose style stands in the markup, which the policy refuses."""


def words(*texts: str) -> list[bytes]:
    events = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}}
        for t in texts
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


class Request(threading.Thread):
    """A client's request on a thread of its own."""

    def __init__(self, interceptor: Interceptor, path: str = "/v1/messages", **body: Any) -> None:
        super().__init__(daemon=True)
        self.address, self.body = f"{interceptor.url}{path}", BODY | body
        self.answer: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        headers = {"x-api-key": "sk-ccproxy-up", "user-agent": "browser-test/1"}
        self.answer = httpx.post(
            self.address, json=self.body, headers=headers, timeout=PATIENCE_S, trust_env=False
        )

    def result(self) -> httpx.Response:
        self.join(PATIENCE_S)
        assert self.answer is not None
        return self.answer


def test_an_empty_console_teaches(visit: Visit) -> None:
    page = visit.go("/")
    assert page.url.endswith("/flows/")
    assert page.locator(".command").all_inner_texts() == ["ccproxy demo", "ccproxy run -- claude"]
    page.locator("#live.on").wait_for()
    visit.picture("empty")


def test_a_row_appears_its_text_grows_and_survives_a_reload(
    visit: Visit, interceptor: Interceptor, upstream: Upstream
) -> None:
    gate = threading.Event()
    said = [f"word{number} " for number in range(40)]
    upstream.scripts["/v1/messages"] = sse(*words(*said, "the end"), pause_s=0.1, gate=gate)
    page = visit.go("/flows/")
    page.locator("#live.on").wait_for()
    request = Request(interceptor)
    row = page.locator("tr.flow[data-state=live]")
    row.wait_for()
    assert "demo-1" in row.inner_text()
    visit.picture("live-row")
    row.locator(".open").click()
    answer = page.locator("#answer")
    answer.get_by_text("word3 ").wait_for()
    early = answer.inner_text()
    answer.get_by_text("word9 ").wait_for()
    assert answer.inner_text().startswith(early.strip())
    visit.picture("live-text")

    page.reload()
    answer.get_by_text("word12 ").wait_for()
    page.locator("h1", has_text="200 streaming").wait_for()
    answer.get_by_text("word39 ").wait_for()
    assert answer.inner_text().strip() == "".join(said).strip()
    assert "the end" not in answer.inner_text()

    gate.set()
    assert request.result().status_code == 200
    page.locator("#state[data-state=done]").wait_for(state="attached")
    assert page.locator(".turn.final .md").inner_text().strip() == "".join(said) + "the end"
    assert "200 streamed in" in page.locator("h1").inner_text()
    visit.picture("finished")
    page.keyboard.press("Escape")
    page.locator("tr.flow[data-state=done]").wait_for()


def test_events_come_below_while_the_flow_runs(
    visit: Visit, interceptor: Interceptor, upstream: Upstream
) -> None:
    gate = threading.Event()
    said = [f"word{number} " for number in range(60)]
    upstream.scripts["/v1/messages"] = sse(*words(*said, "the end"), pause_s=0.08, gate=gate)
    request = Request(interceptor)
    page = visit.go("/flows/")
    page.locator("tr.flow[data-state=live] .open").click()
    page.locator(".tabs a", has_text="Response").click()
    page.locator(".switch a", has_text="Events").click()
    rows = page.locator(".events tr[data-event]")
    rows.first.wait_for()
    first = rows.count()
    rows.first.locator("summary").click()
    page.locator(".facts-fold summary").click()
    rows.nth(first).wait_for()
    assert page.locator(".events details[open]").count() == 1
    assert page.locator(".facts-fold[open]").count() == 1
    visit.picture("live-events")
    gate.set()
    assert request.result().status_code == 200
    page.locator("#state[data-state=done]").wait_for(state="attached")
    assert rows.count() == 61
    numbers = [row.get_attribute("data-event") for row in rows.all()]
    assert numbers == [str(number) for number in range(1, 62)]
    upstream.scripts.clear()


def test_the_changes_tab_shows_the_hook_that_changed_the_header(
    visit: Visit, interceptor: Interceptor, upstream: Upstream
) -> None:
    upstream.scripts.clear()
    flow_id = Request(interceptor, stream=False).result().headers["x-ccproxy-flow"]
    interceptor.flow(flow_id)
    page = visit.go(f"/flows/{flow_id}/")
    page.keyboard.press("5")
    assert "hooks set only the credential" in page.locator("h1").inner_text()
    visit.picture("changes")
    page.locator(".rail li.did", has_text="inject_auth").last.click()
    page.locator("h2", has_text="inject_auth").wait_for()
    assert "hook=" in page.url
    change = page.locator(".change").inner_text()
    assert "‹redacted" in change
    assert REAL_KEY not in page.content()
    visit.picture("hook")
    page.go_back()
    page.locator(".rail li[aria-current]", has_text="All changes").wait_for()


def test_the_pill_counts_what_came_while_reading_further_down(
    visit: Visit, interceptor: Interceptor, upstream: Upstream, seeded: Interceptor
) -> None:
    upstream.scripts.clear()
    interceptor.call(seeds.many_flows, 30)
    page = visit.go("/flows/")
    page.locator("#live.on").wait_for()
    before = page.locator("tr.flow").count()
    page.evaluate("scrollTo(0, 400)")
    ids = [Request(interceptor, stream=False).result().headers["x-ccproxy-flow"] for _ in range(3)]
    page.locator("#pill", has_text="3 new").wait_for()
    assert page.locator("tr.flow").count() == before
    visit.picture("pill")
    page.locator("#pill").click()
    for flow_id in ids:
        page.locator(f"#f-{flow_id}").wait_for()
    assert page.locator("#pill").is_hidden()


def test_live_rows_keep_to_the_filters(
    visit: Visit, interceptor: Interceptor, upstream: Upstream
) -> None:
    upstream.scripts["/v1/messages"] = Script(
        status=529, pieces=(b'{"error": {"message": "busy"}}',)
    )
    page = visit.go("/flows/?status=5xx")
    page.locator("#live.on").wait_for()
    bad = Request(interceptor, stream=False).result().headers["x-ccproxy-flow"]
    page.locator(f"#f-{bad}").wait_for()
    upstream.scripts.clear()
    good = Request(interceptor, stream=False).result().headers["x-ccproxy-flow"]
    interceptor.flow(good)
    upstream.scripts["/v1/messages"] = Script(
        status=529, pieces=(b'{"error": {"message": "busy"}}',)
    )
    worse = Request(interceptor, stream=False).result().headers["x-ccproxy-flow"]
    page.locator(f"#f-{worse}").wait_for()
    assert page.locator(f"#f-{good}").count() == 0
    upstream.scripts.clear()


def test_everything_can_be_done_with_keys(visit: Visit, seeded: Interceptor) -> None:
    page = visit.go("/flows/?provider=local")
    page.keyboard.press("?")
    page.locator("#help[open]").wait_for()
    page.keyboard.press("Escape")
    page.locator("#help[open]").wait_for(state="detached")
    for key in "jjk":
        page.keyboard.press(key)
    chosen = page.locator("tr.chosen").get_attribute("id")
    assert chosen == page.locator("tr.flow").nth(0).get_attribute("id")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/flows/{chosen[2:]}/")
    page.keyboard.press("7")
    page.locator(".tabs [aria-current]", has_text="Timing").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_url("**/flows/?provider=local")
    page.keyboard.press("x")
    page.wait_for_url("**/flows/")
    page.keyboard.press("/")
    page.keyboard.type("cheap-evenings")
    page.locator(".chip", has_text="cheap-evenings").wait_for()
    page.wait_for_url("**/flows/?q=cheap-evenings")
    assert page.locator("tr.flow").count() == 2
    visit.picture("search")


def test_tab_and_row_survive_the_way(visit: Visit, seeded: Interceptor) -> None:
    page = visit.go("/flows/?provider=local")
    rows = [row.get_attribute("id")[2:] for row in page.locator("tr.flow").all()]
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url(f"**/flows/{rows[1]}/")
    page.keyboard.press("ArrowRight")
    page.locator("[data-tab=client]").wait_for()
    tab = page.url.partition("?")[2]
    assert tab == "tab=client"
    page.keyboard.press("ArrowRight")
    page.locator("[data-tab=forwarded]").wait_for()
    page.keyboard.press("ArrowLeft")
    page.locator("[data-tab=client]").wait_for()
    page.keyboard.press("k")
    page.wait_for_url(lambda address: rows[1] not in address)
    assert page.url.endswith(f"/?{tab}")
    page.keyboard.press("j")
    page.wait_for_url(f"**/flows/{rows[1]}/?{tab}")
    page.keyboard.press("Escape")
    page.wait_for_url("**/flows/?provider=local")
    assert page.locator("tr.chosen").get_attribute("id") == f"f-{rows[1]}"
    page.keyboard.press("ArrowUp")
    assert page.locator("tr.chosen").get_attribute("id") == f"f-{rows[0]}"
    page.go_back()
    page.wait_for_url(f"**/?{tab}")


def test_a_click_meets_its_row_while_others_arrive(
    visit: Visit, interceptor: Interceptor, upstream: Upstream, seeded: Interceptor
) -> None:
    upstream.scripts.clear()
    page = visit.go("/flows/")
    page.locator("#live.on").wait_for()
    row = page.locator("tr.flow").first
    aimed = row.get_attribute("id")
    box = row.locator(".time").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 8)
    page.mouse.down()
    came = Request(interceptor, stream=False).result().headers["x-ccproxy-flow"]
    page.locator("#pill", has_text="1 new").wait_for()
    page.mouse.up()
    page.wait_for_url(f"**/flows/{aimed[2:]}/")
    page.keyboard.press("Escape")
    page.locator(f"#f-{came}").wait_for()


def test_y_copies_what_is_read(visit: Visit, seeded: Interceptor) -> None:
    page = visit.go(f"/flows/{IDS['anthropic']}/")
    read = page.locator(".turn.final").inner_text()
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.put = text; }")
    page.keyboard.press("y")
    page.locator("#told", has_text="copied").wait_for(state="attached")
    copied = page.evaluate("window.put")
    assert copied
    assert copied in read
    assert "data:" not in copied


def test_filters_narrow_at_once(visit: Visit, seeded: Interceptor) -> None:
    page = visit.go("/flows/")
    page.locator("summary", has_text="Filters").click()
    visit.picture("filters")
    page.select_option("select[name=status]", "4xx")
    page.locator(".chip", has_text="4xx").wait_for()
    assert page.url.endswith("/flows/?status=4xx")
    assert page.locator("tr.flow").count() == 1


def test_a_fold_is_filled_when_opened(visit: Visit, seeded: Interceptor) -> None:
    big = json.dumps(
        {"nested": {"tools": [{"name": f"tool{n}", "text": "x" * 900} for n in range(40)]}}
    )
    seeded.call(seeds.flow_with_body, "00000000-0000-4000-9000-00000000b0d1", big)
    page = visit.go("/flows/00000000-0000-4000-9000-00000000b0d1/?tab=client")
    page.locator("summary", has_text="nested").click()
    tools = page.locator("details[hx-get]", has_text="tools")
    assert page.get_by_text("tool39").count() == 0
    tools.locator("summary").first.click()
    page.get_by_text("tool39").first.wait_for()


LOOKS = {
    "light": {"width": 1280, "height": 800},
    "phone": {"width": 390, "height": 844},
}
"""A colour scheme changes no size: tests/browser/test_accessibility.py looks at the dark one."""
SHOWN_TABS = ("chat", "client", "context", "response", "changes", "timing")
SEEN_ELSEWHERE = {("live", "chat"), ("failed", "chat"), ("hostile", "changes")}
"""Pages that tests/browser/test_accessibility.py opens with the same rows and the same checks."""


def test_no_page_asks_a_foreign_host_or_breaks_the_policy(
    browser: Any, seeded: Interceptor, state: Any
) -> None:
    """All tabs of flows of each kind; the list, the events and the tabs of a redirected flow are
    among the pages of tests/browser/test_accessibility.py.
    """
    with visiting(browser, seeded, state, color_scheme="light") as visit:
        for name in ("anthropic", "websocket", "live", "failed", "hostile"):
            for tab in SHOWN_TABS:
                if (name, tab) in SEEN_ELSEWHERE:
                    continue
                page = visit.go(f"/flows/{IDS[name]}/?tab={tab}")
                for look, size in LOOKS.items():
                    page.set_viewport_size(size)
                    wide = page.evaluate(WIDE)
                    assert wide == [], f"{name} is too wide"
                    visit.picture(f"{name}-{tab}-{look}")
                assert page.evaluate(STYLED) == 0


def test_it_works_without_scripts(browser: Any, seeded: Interceptor, state: Any) -> None:
    with visiting(browser, seeded, state, java_script_enabled=False) as visit:
        page = visit.go("/flows/?provider=local")
        page.locator(f"#f-{IDS['redirect']} .open").click()
        page.locator(".tabs a", has_text="Changes").click()
        page.locator(".rail a", has_text="trim_tools").click()
        assert re.search(r"\?tab=changes&hook=0$", page.url)
        page.locator("code", has_text="tools[name=Bash]").wait_for()


def test_a_page_of_another_origin_sees_nothing(
    browser: Any, seeded: Interceptor, state: Any, tmp_path: Path
) -> None:
    with Upstream() as other:
        html = (("content-type", "text/html"),)
        other.scripts["/"] = Script(headers=html, pieces=(b"<p>evil</p>",))
        context = patient_context(browser, storage_state=state)
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{other.port}/")
        base = seeded.console_url
        opened = page.evaluate(
            "address => new Promise(done => { const s = new WebSocket(address);"
            " s.onopen = () => done('open'); s.onerror = () => done('refused'); })",
            base.replace("http", "ws") + "/ws/flows/",
        )
        read = page.evaluate(
            "address => fetch(address, {credentials: 'include'}).then(() => 'read', () => 'no')",
            base,
        )
        context.close()
    assert (opened, read) == ("refused", "no")


def test_a_running_websocket_shows_its_messages_as_they_pass(
    visit: Visit, interceptor: Interceptor, upstream: Upstream
) -> None:
    upstream.scripts["/v1/responses"] = Script(echo=True)
    with dial(interceptor) as socket:
        socket.send('{"type": "response.create", "input": "first words"}')
        page = visit.go("/flows/")
        row = page.locator("tr.flow[data-state=live]", has_text="/v1/responses")
        row.locator(".open").click()
        page.locator(".events", has_text="first words").wait_for()
        socket.send('{"type": "response.create", "input": "second words"}')
        page.locator(".events", has_text="second words").wait_for()
        visit.picture("live-websocket")
    page.locator("#state[data-state=live]").wait_for(state="detached")


def test_a_flow_is_pinned_from_the_list_and_on_its_page(visit: Visit, seeded: Interceptor) -> None:
    page = visit.go("/flows/")
    page.keyboard.press("j")
    chosen = page.locator("tr.flow.chosen")
    flow_id = (chosen.get_attribute("id") or "").removeprefix("f-")
    page.keyboard.press("s")
    chosen.locator(".pin [aria-pressed=true]").wait_for()
    visit.picture("pinned-row")
    page.goto(f"{visit.base}/flows/{flow_id}/")
    page.locator(".steps .pin [aria-pressed=true]", has_text="pinned").wait_for()
    page.keyboard.press("s")
    page.locator(".steps .pin [aria-pressed=false]", has_text="pin").wait_for()
    page.goto(f"{visit.base}/flows/?pinned=true")
    page.locator("#empty").wait_for()


def test_the_pane_shows_flows_without_leaving_the_list(visit: Visit, seeded: Interceptor) -> None:
    page = visit.go("/flows/?provider=local")
    rows = [row.get_attribute("id")[2:] for row in page.locator("tr.flow").all()]
    page.keyboard.press("j")
    page.keyboard.press("v")
    page.locator(f"#peek [data-peek='{rows[0]}']").wait_for()
    page.keyboard.press("j")
    page.locator(f"#peek [data-peek='{rows[1]}']").wait_for()
    assert page.url.endswith(f"?provider=local&peek={rows[1]}")
    visit.picture("peek")
    page.reload()
    page.locator(f"#peek [data-peek='{rows[1]}']").wait_for()
    assert page.locator("tr.chosen").get_attribute("id") == f"f-{rows[1]}"
    page.keyboard.press("Escape")
    page.locator("#peek").wait_for(state="hidden")
    assert page.url.endswith("?provider=local")
    # The same with a click, and the list goes on to sort and to filter.
    page.locator(f"#f-{rows[0]}").hover()
    page.locator(f"#f-{rows[0]} [data-act=peek]").click()
    page.locator(f"#peek [data-peek='{rows[0]}']").wait_for()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate(WIDE) == []
    visit.picture("peek-phone")
    page.locator("[data-act=peek-open]").click()
    page.wait_for_url(f"**/flows/{rows[0]}/")


def test_columns_and_order_are_chosen_on_the_list(visit: Visit, seeded: Interceptor) -> None:
    page = visit.go("/flows/?provider=local")
    page.locator("summary", has_text="Columns").click()
    page.get_by_label("Tok/s").check()
    page.get_by_label("Size up / down").uncheck()
    page.get_by_role("button", name="Show these").click()
    page.locator("th.speed").wait_for()
    assert page.locator("th.bytes").count() == 0
    assert "provider=local" in page.url
    page.locator("th.took a").click()
    page.wait_for_url("**sort=-took*")
    assert page.locator("th.took[aria-sort=descending]").count() == 1
    page.locator("#q").fill("haiku")
    page.wait_for_url("**q=haiku*")
    assert "sort=-took" in page.url
    page.context.clear_cookies(name="ccproxy-columns")
