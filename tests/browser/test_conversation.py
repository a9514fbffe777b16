"""Conversations, contexts, sessions and usage in a real browser: live from the proxy, and recorded
ones.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx
import pytest

from tests.browser import seeds
from tests.browser.test_flows import STYLED, WIDE
from tests.browser.visit import visiting
from tests.e2e.process import Interceptor
from tests.fakes.upstream import Upstream, sse
from tests.flows.seed_session import SESSION, TURN_IDS
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.browser, pytest.mark.e2e]
SEED = seeds.session_and_usage
LIVE_SESSION = "99990001-2222-4333-8444-555566667777"


def answer(text: str, **usage: int) -> list[bytes]:
    """A whole Anthropic stream."""
    start = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "usage": usage,
    }
    words = [{"type": "text_delta", "text": f"{word} "} for word in text.split()]
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in words),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 50},
        },
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


class Asking(threading.Thread):
    """A client that asks on a thread of its own."""

    def __init__(self, interceptor: Interceptor, messages: list[dict[str, Any]]) -> None:
        super().__init__(daemon=True)
        self._url = f"{interceptor.url}/v1/messages"
        self._body = {
            "model": "claude-haiku-4-5",
            "max_tokens": 9,
            "stream": True,
            "messages": messages,
        }
        self.flow_id = ""
        self.start()

    def run(self) -> None:
        headers = {"x-api-key": "sk-ccproxy-up", "x-claude-code-session-id": LIVE_SESSION}
        answered = httpx.post(
            self._url, json=self._body, headers=headers, timeout=PATIENCE_S, trust_env=False
        )
        self.flow_id = answered.headers["x-ccproxy-flow"]


def test_a_conversation_grows_while_it_streams_and_is_counted_at_its_end(
    browser: Any, interceptor: Interceptor, state: Any, upstream: Upstream
) -> None:
    question = {"role": "user", "content": "What is **bold**?"}
    gate = threading.Event()
    pieces = answer(
        "It is `heavier` type.",
        input_tokens=10,
        cache_read_input_tokens=0,
        cache_creation_input_tokens=2000,
    )
    upstream.scripts["/v1/messages"] = sse(*pieces, pause_s=0.05, gate=gate)
    with visiting(browser, interceptor, state) as visit:
        page = visit.go("/flows/")
        page.locator("#live.on").wait_for()
        first = Asking(interceptor, [question])
        page.locator("tr.flow[data-state=live] .open").click()
        page.locator(".turn.user strong", has_text="bold").wait_for()
        page.locator("#answer", has_text="It is `heavier`").wait_for()
        page.reload()
        page.locator("#answer", has_text="It is `heavier`").wait_for()
        visit.picture("conversation-live")
        gate.set()
        page.locator(".turn.final code", has_text="heavier").wait_for()
        first.join(PATIENCE_S)
        assert "2.0 k / 50" in page.locator(".facts-line").inner_text()

        upstream.scripts["/v1/messages"] = sse(
            *answer("Less.", input_tokens=20, cache_read_input_tokens=2000)
        )
        said = {"role": "assistant", "content": "It is `heavier` type."}
        second = Asking(interceptor, [question, said, {"role": "user", "content": "Shorter!"}])
        second.join(PATIENCE_S)
        interceptor.flow(second.flow_id)
        visit.go(f"/flows/{second.flow_id}/")
        page.get_by_text("Show 1 earlier turn").click()
        page.locator(".turn.user strong", has_text="bold").wait_for()
        page.keyboard.press("6")
        page.get_by_text("its cache can be used").wait_for()
        page.locator(".facts-line > a", has_text=LIVE_SESSION[:8]).click()
        page.wait_for_url(f"**/flows/session/{LIVE_SESSION}/")
        page.locator('a[href="?tab=timeline"]').click()
        page.locator(".session-rows tbody tr").nth(1).wait_for()
        assert page.locator(".session-rows tbody tr").count() == 2
        assert "50 %" in page.locator(".facts").inner_text()
        page.locator(".top nav a", has_text="Usage").click()
        assert "4.0 k" in page.locator(".facts").inner_text()
        assert "2 requests whose price is not known" in page.locator(".note").inner_text()


LOOKS = {
    "light": {"width": 1280, "height": 1000},
    "dark": {"width": 1280, "height": 1000},
    "phone": {"width": 390, "height": 844},
}


def test_recorded_sessions_look_right(browser: Any, seeded: Interceptor, state: Any) -> None:
    first, second, third = TURN_IDS
    pages = {
        "answer": f"/flows/{second}/",
        "thinking": f"/flows/{first}/",
        "context": f"/flows/{third}/?tab=context",
        "json": f"/flows/{second}/?tab=chat&view=json",
        "session": f"/flows/session/{SESSION}/",
        "usage": "/usage/",
        "chat": f"/flows/{second}/?all=1",
    }
    with visiting(browser, seeded, state) as visit:
        for name, address in pages.items():
            page = visit.go(address)
            for look, size in LOOKS.items():
                page.set_viewport_size(size)
                page.emulate_media(color_scheme="dark" if look == "dark" else "light")
                assert page.evaluate(WIDE) == [], f"{name} is too wide"
                visit.picture(f"seen-{name}-{look}")
            assert page.evaluate(STYLED) == 0
        for size in LOOKS.values():
            page.set_viewport_size(size)
            _shows_the_picture_and_the_words(page)


def _shows_the_picture_and_the_words(page: Any) -> None:
    page.locator("figure img").scroll_into_view_if_needed()
    width = page.locator("figure img").evaluate(
        "async i => { await i.decode(); return i.naturalWidth }"
    )
    assert width == 96
    bold = page.locator(".turn.final strong, .turn.assistant strong").all_inner_texts()
    assert "carriage return" in bold
