"""Sending a recorded request again in a real browser, through the real proxy to a scripted
provider.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx
import pytest

from tests.browser import seeds
from tests.browser.visit import Visit, visiting
from tests.e2e.conftest import REAL_KEY
from tests.e2e.process import Interceptor, wait_until
from tests.fakes.upstream import Script, Upstream, sse

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

PATH = "/v1/messages"
ASKED = {
    "model": "m-1",
    "max_tokens": 50,
    "stream": True,
    "messages": [{"role": "user", "content": "What is new?"}],
}
SIZES = pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
"""What is asserted depends on the width alone; the colours are for the pictures."""


def said(*words: str) -> list[bytes]:
    """A stream of the Messages API that says some words."""
    start = {
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "m-1",
        "usage": {"input_tokens": 9},
    }
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "msg_1", **start}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": w}}
            for w in words
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 4},
        },
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


@pytest.fixture(autouse=True)
def _fresh(upstream: Upstream) -> None:
    upstream.scripts.clear()
    upstream.requests.clear()


def ask(interceptor: Interceptor, upstream: Upstream, **headers: str) -> str:
    """A client's request; the id of its flow, once recorded."""
    upstream.scripts[PATH] = sse(*said("Nothing ", "at all."))
    given = {
        "x-api-key": "sk-ccproxy-up",
        "anthropic-beta": "redact-thinking-1,keep-2",
        "X-Title": "one",
    }
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    answer = httpx.post(interceptor.url + PATH, json=ASKED, headers=given, trust_env=False)
    assert answer.status_code == 200
    return str(interceptor.flow(answer.headers["x-ccproxy-flow"])["id"])


def send(visit: Visit) -> str:
    """Press Send; the id of the flow whose page it leads to."""
    page = visit.page
    before = page.url
    page.click("#send")
    page.locator("#live[data-flow]").wait_for(state="attached")
    assert page.url != before
    return str(page.url.rstrip("/").rpartition("/")[2])


def test_the_answer_streams_into_the_page_and_both_flows_know_each_other(
    visit: Visit, interceptor: Interceptor, upstream: Upstream
) -> None:
    original = ask(interceptor, upstream)
    gate = threading.Event()
    upstream.scripts[PATH] = sse(*said("All ", "of it."), b": end\n\n", gate=gate)
    page = visit.go(f"/flows/{original}/")
    page.keyboard.press("r")
    page.wait_for_selector("#preview >> text=Nothing edited")
    page.keyboard.press("Enter")  # the button has the focus
    page.wait_for_selector("#answer >> text=All of it.")
    assert page.inner_text(".live-tag")
    visit.picture("resend-live")
    gate.set()
    page.wait_for_selector(".turn.final >> text=All of it.")
    again = str(page.url.rstrip("/").rpartition("/")[2])
    first, second = upstream.wait_for(2)
    assert (second.method, second.target, second.body) == (first.method, first.target, first.body)
    assert [(n.lower(), v) for n, v in second.headers] == [(n.lower(), v) for n, v in first.headers]
    assert page.inner_text(".resent").startswith(
        f"Sent again from {original[:8]}, as the client sent it, by "
    )
    page.click("text=compare with the original")
    page.click(".tabs a:has-text('Responses')")
    text = page.inner_text(".change")
    assert "All of it." in text and "Nothing at all." in text
    visit.picture("pair-answer")
    page = visit.go(f"/flows/{original}/")
    assert again[:8] in page.inner_text(".resent")
    entries = interceptor.rows("select * from providers_auditentry where action='replay'")
    assert entries[-1]["target"] == f"flow {original}"
    done = "select 1 from providers_auditentry where action='replay' and outcome='done'"
    wait_until(lambda: interceptor.rows(done), "it is written down how it went")


def test_an_edited_request_shows_its_diff_first_and_is_sent_as_shown(
    visit: Visit, interceptor: Interceptor, upstream: Upstream
) -> None:
    original = ask(interceptor, upstream)
    page = visit.go(f"/flows/{original}/resend/")
    body = page.input_value("#edit-body")
    assert page.inner_text("#json-state") == "valid JSON"
    page.fill("#edit-body", body.replace("What is new?", "What is ald?").replace('"m-1"', '"m-2"'))
    page.wait_for_selector("#preview .place")
    assert "What is ald?" in page.inner_text("#preview")
    page.fill(
        "#edit-headers",
        page.input_value("#edit-headers").replace("X-Title: one", "X-Title: two\nX-More: 3"),
    )
    page.wait_for_selector("#preview >> text=X-More")
    visit.picture("resend-edited")
    page.fill("#edit-body", '{"model": "m-1",}')
    page.wait_for_selector("#preview .problem >> text=not valid JSON")
    assert "line 1" in page.inner_text("#json-state")
    page.fill("#edit-body", body.replace("What is new?", "What is old?"))
    page.wait_for_selector("#preview >> text=What is old?")
    again = send(visit)
    seen = upstream.wait_for(2)[-1]
    assert seen.json == {**ASKED, "messages": [{"role": "user", "content": "What is old?"}]}
    assert (seen.header("x-title"), seen.header("x-more"), seen.header("content-encoding")) == (
        "two",
        "3",
        None,
    )
    assert "as the client sent it, edited" in page.inner_text(".resent")
    page.click("text=compare with the original")
    assert "What is old?" in page.inner_text(".change")
    assert interceptor.flow(again)["status_code"] == 200


def test_as_forwarded_skips_what_the_proxy_does_and_gets_a_fresh_credential(
    visit: Visit, interceptor: Interceptor, upstream: Upstream
) -> None:
    original = ask(interceptor, upstream)
    page = visit.go(f"/flows/{original}/resend/?as=forwarded")
    assert "resolved again" in page.inner_text("#preview")
    assert REAL_KEY not in page.content()
    again = send(visit)
    first, second = upstream.wait_for(2)
    assert (second.body, second.header("x-ccproxy-resend")) == (first.body, None)
    assert REAL_KEY in "".join(value for _, value in second.headers)
    assert second.header("anthropic-beta") == first.header("anthropic-beta")
    interceptor.flow(again)
    assert [trace.stage for trace in interceptor.traces(again)] == ["transform", "egress"]


def test_what_cannot_be_sent_says_why(
    visit: Visit, interceptor: Interceptor, upstream: Upstream
) -> None:
    original = ask(interceptor, upstream)
    page = visit.go(f"/flows/{original}/resend/")
    page.fill("input[name=target]", "no path")
    page.wait_for_selector("#preview .problem >> text=has to begin with /")
    page.click("#send")
    page.wait_for_selector("#preview .problem >> text=has to begin with /")
    page = visit.go("/flows/resend/0123/")
    visit.complaints.clear()  # Chromium reports the 409 and the 404 of these pages
    assert "not here" in page.inner_text("main")
    assert len(upstream.requests) == 1


@SIZES
def test_how_it_looks(
    browser: Any, interceptor: Interceptor, upstream: Upstream, state: Any, width: int, scheme: str
) -> None:
    original = ask(interceptor, upstream)
    with visiting(
        browser, interceptor, state, viewport={"width": width, "height": 900}, color_scheme=scheme
    ) as visit:
        page = visit.go(f"/flows/{original}/resend/")
        page.fill(
            "#edit-body", page.input_value("#edit-body").replace("What is new?", "What is old?")
        )
        page.wait_for_selector("#preview .place")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        visit.picture(f"resend-{width}-{scheme}")
        send(visit)
        page.wait_for_selector(".turn.final")
        visit.picture(f"resent-{width}-{scheme}")
        page.click("text=compare with the original")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        visit.picture(f"pair-{width}-{scheme}")


def test_a_request_that_nobody_takes_says_so(
    visit: Visit, interceptor: Interceptor, upstream: Upstream
) -> None:
    original = ask(interceptor, upstream)
    upstream.scripts[PATH] = Script(status=500, pieces=(b'{"error": {"message": "broken"}}',))
    visit.go(f"/flows/{original}/resend/")
    again = send(visit)
    assert interceptor.flow(again)["status_code"] == 500


def test_forged_used_and_old_grants_never_reach_the_provider(
    interceptor: Interceptor, upstream: Upstream
) -> None:
    original = ask(interceptor, upstream)
    token = interceptor.call(seeds.grant, original)
    old = interceptor.call(seeds.grant, original)
    interceptor.call(seeds.expire_grant, old)

    def show(shown: str, **more: str) -> int:
        headers = {"x-api-key": "sk-ccproxy-up", "x-ccproxy-resend": shown, **more}
        return httpx.post(
            interceptor.url + PATH, json=ASKED, headers=headers, trust_env=False
        ).status_code

    for forged in ("", "ccr-" + "a" * 43, "ccr-" + "a" * 9999, token.upper(), old, "' or 1=1 --"):
        assert show(forged) == 403
    assert show(token, origin="http://127.0.0.1:1", **{"sec-fetch-site": "cross-site"}) == 403
    assert len(upstream.requests) == 1
    assert (show(token), show(token)) == (200, 403)
    assert len(upstream.requests) == 2
    assert upstream.last.header("x-ccproxy-resend") is None
    assert interceptor.rows("select 1 from flows_flowparts where headers like '%ccr-%'") == []


def test_rest_sends_again_and_names_the_new_flow(
    interceptor: Interceptor, upstream: Upstream, state: Any
) -> None:
    original = ask(interceptor, upstream)
    jar = {cookie["name"]: cookie["value"] for cookie in state["cookies"]}
    headers = {"x-csrftoken": jar["ccproxy_csrf"], "origin": interceptor.console_url}
    with httpx.Client(
        base_url=interceptor.console_url, cookies=jar, headers=headers, trust_env=False
    ) as client:
        answer = client.post(f"/api/flows/{original}/resend/", json={"as": "forwarded"})
        assert answer.status_code == 202, answer.text
        again = answer.json()["flow"]
        assert interceptor.flow(again)["status_code"] == 200
        edited = client.post(
            f"/api/flows/{original}/resend/", json={"body": '{"model": "m-9"}'}
        ).json()
        assert edited["edited"] is True
        assert upstream.wait_for(3)[-1].json == {"model": "m-9"}
        found = client.get(f"/api/flows/{original}/diff/{again}/").json()
        assert found["parts"]["forwarded"]["body"] == []
        assert found["parts"]["answer"]["identical"] is True
