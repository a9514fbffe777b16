"""Rows that a layout may break on: long names, other scripts, markup, an image, a long session."""

from __future__ import annotations

import base64
import json
from typing import Any

from flows.models import Flow
from interceptor.access.client_token import create_client_token
from interceptor.models import HookSetting
from providers.models import ModelFact, PriceOverride
from tests.flows.seed import CLIENT_HEADERS, add_flow, add_side, seed_hostile, sse
from tests.flows.seed_session import picture
from tests.rows import make_provider, make_rule

LONG_MODEL = "accounts/fireworks/models/qwen3-coder-480b-a35b-instruct-fp8-throughput-2026-11-30"
LONG_PATH = "/openai/deployments/" + "a-deployment-with-a-long-name-" * 4 + "/chat/completions"
LONG_NAME = "a-provider-with-a-name-as-long-as-a-name-may-be-" + "x" * 16
LONG_SESSION = "session-" + "0123456789abcdef" * 7
TURNS = 100
"""Questions of the long session; each has an answer."""

TEXTS = {
    "chinese": "请解释为什么构建在主分支上失败，并给出一个最小的修复方案。" * 6,
    "arabic": "لماذا يفشل البناء على الفرع الرئيسي؟ افتح `tests/test_clock.py` ثم أصلح الخطأ. " * 4,
    "emoji": "👩🏽‍💻🧪🔥 Why does 🏳️‍🌈 break the build? 👨‍👩‍👧‍👦 " * 6,
    "markup": "<h1>Title</h1><script>alert(1)</script><img src=x onerror=alert(2)> & &amp; " * 4,
    "unbroken": "0123456789abcdef" * 60,
}
IDS = {
    name: f"aaaa0000-{number:04d}-4000-8000-000000000000"
    for number, name in enumerate([*TEXTS, "image", "session", "unanswered"], 1)
}


def rows() -> None:
    """Add flows with awkward contents, and rows of the admin with names as long as they may be."""
    for name, text in TEXTS.items():
        _flow(name, [{"role": "user", "content": text}], text)
    _flow("image", [{"role": "user", "content": _image()}], "A gradient, from blue to red.")
    _flow("session", _long_conversation(), "That was the last question.", LONG_SESSION)
    _unanswered()
    seed_hostile()
    _admin_rows()


def _image() -> list[dict[str, Any]]:
    data = base64.b64encode(picture(120, 80)).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    return [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]


def _long_conversation() -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for number in range(TURNS):
        messages += [
            {"role": "user", "content": f"Question {number + 1}: what does step {number + 1} do?"},
            {
                "role": "assistant",
                "content": f"Step {number + 1} reads a file. " * (number % 9 + 1),
            },
        ]
    return [*messages, {"role": "user", "content": "Is that all?"}]


def _flow(name: str, messages: list[dict[str, Any]], answer: str, session: str = "") -> Flow:
    """Add a flow of a long model at a long address that was translated from another long model."""
    asked = {"model": LONG_MODEL, "max_tokens": 32_000, "stream": True, "messages": messages}
    body = json.dumps(asked, ensure_ascii=False).encode()
    chunks = sse(
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": answer},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 1_234_567},
        },
        {"type": "message_stop"},
    )
    host = "a-very-long-resource-name.openai.azure.example.internal.corp.test"
    flow = add_flow(
        IDS[name],
        1,
        host=host,
        path=LONG_PATH,
        provider=LONG_NAME,
        provider_type="anthropic",
        requested_model=LONG_MODEL,
        sent_model=f"{LONG_MODEL}-v2",
        session_id=session or f"{LONG_SESSION}-{name}",
        status_code=200,
        is_stream=True,
        action="redirect",
        rule="r" * 100,
        client_format="anthropic_messages",
        provider_format="anthropic_messages",
        first_byte_ms=400.0,
        first_event_ms=410.0,
        duration_ms=3_723_000.0,
        request_size_bytes=len(body),
        response_size_bytes=len(b"".join(chunks)),
        input_tokens=123_456_789,
        output_tokens=1_234_567,
        cache_read_tokens=98_765_432,
        cost_usd="12345.678901",
        price_version="genai-prices 0.2.3",
        search_text=answer[:200],
        client_url=f"http://127.0.0.1:4000{LONG_PATH}",
        forwarded_url=f"https://{host}{LONG_PATH}",
    )
    add_side(flow, "client", CLIENT_HEADERS, body, method="POST", url=flow.client_url)
    add_side(flow, "forwarded", CLIENT_HEADERS, body, method="POST", url=flow.forwarded_url)
    headers = {"content-type": "text/event-stream"}
    for side in ("upstream", "delivered"):
        add_side(flow, side, headers, b"".join(chunks), status_code=200, reason="OK")
    return flow


def _unanswered() -> None:
    """Add a flow that no provider answered, with a long reason."""
    body = json.dumps({"model": LONG_MODEL, "messages": [{"role": "user", "content": "Hi"}]})
    flow = add_flow(
        IDS["unanswered"],
        2,
        host="127.0.0.1",
        path="/v1/messages",
        provider=LONG_NAME,
        state="error",
        duration_ms=600_000.0,
        requested_model=LONG_MODEL,
        request_size_bytes=len(body),
        client_format="anthropic_messages",
        error="Nothing listens on 127.0.0.1:8080, and no address of "
        f"{LONG_NAME}.example answered within 600 s. Is the model server running?",
    )
    add_side(flow, "client", CLIENT_HEADERS, body.encode(), method="POST", url=flow.client_url)


def _admin_rows() -> None:
    provider = make_provider(
        LONG_NAME,
        host="a-very-long-resource-name.openai.azure.example.internal.corp.test",
        path=LONG_PATH,
        headers={"x-a-header-with-a-long-name": "v" * 120},
        model_names=[LONG_MODEL, "m" * 120],
        retry={"attempts": 3, "statuses": [429, 503, "connect"], "budget_seconds": 30},
        auth_type="command",
        auth_config={"command": "security find-generic-password -w -s anthropic | " * 3 + "cat"},
    )
    make_rule(
        name="r" * 100,
        action="transform",
        match_model="|".join([LONG_MODEL] * 3),
        match_path="^/v1/(messages|chat/completions|responses)(/.*)?$",
        dest_provider=provider,
        dest_model=LONG_MODEL,
        comment="一条很长的备注。" * 30,
    )
    create_client_token("t" * 64, ["anthropic", "openai", LONG_NAME, "a-provider-that-is-gone"])
    ModelFact.objects.create(
        model="*" + LONG_MODEL,
        host="*.internal.corp.test",
        facts={
            "refuses": ["temperature", "top_p"],
            "thinks": "always",
            "thinking_budget": [1024, 32_000],
            "max_output_tokens": 8192,
            "forced_tools": False,
            "only_fields": ["model", "messages"],
        },
        source="https://example.test/" + "long/" * 40,
    )
    PriceOverride.objects.create(
        model=LONG_MODEL, provider=LONG_NAME, input_usd="123.456789", output_usd=0
    )
    HookSetting.objects.get_or_create(
        stage="outbound",
        name="a_package.with_a_long_name.and_a_module.that_holds.a_function_with_a_long_name",
        enabled=False,
        params={"texts": ["x" * 60] * 3, "limit": 12},
    )
