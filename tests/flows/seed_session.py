"""Three requests of one coding session: a hook breaks the cache of the second, the client that of
the third.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

from flows.models import Flow
from tests.flows.seed import CLIENT_HEADERS, add_flow, add_side, messages_body, sse, store
from tests.parts import add_trace

SESSION = "77aa0001-2222-4333-8444-555566667777"
TURN_IDS = [f"77aa0001-000{number}-4000-8000-00000000000{number}" for number in (1, 2, 3)]
ANSWER = """The parser stops at the first `\\n`. Three places matter:

1. `Lexer.next` drops the **carriage return**
2. the test only covers `LF`

| file | lines |
|---|---:|
| lexer.py | 40 |

```python
assert lex("a\\r\\n") == ["a"]
```

![chart](https://example.org/chart.png) and [the standard](https://example.org/spec)."""
THOUGHT = "The stack trace points into the lexer, so I look at how it treats line ends."


def picture(width: int = 96, height: int = 64) -> bytes:
    """A small PNG with a gradient."""
    rows = b"".join(
        b"\0" + b"".join(bytes((x * 2, y * 3, 180)) for x in range(width)) for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _history() -> list[dict[str, Any]]:
    image = {
        "type": "base64",
        "media_type": "image/png",
        "data": base64.b64encode(picture()).decode(),
    }
    return [
        {"role": "user", "content": [{"type": "text",
        "text": "Why does the lexer fail on **Windows** files?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": THOUGHT, "signature": "EqQB"},
                {"type": "text", "text": "I will run the tests first."},
                {"type": "tool_use", "id": "toolu_11", "name": "Bash",
                "input": {"path": "pytest tests/test_lexer.py"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_11", "is_error": True,
                 "content": [{"type": "text", "text": "1 failed, 12 passed"}, {"type": "image",
                 "source": image}]},
                {"type": "text",
                "text": "<system-reminder>The user opened lexer.py</system-reminder>"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": ANSWER}]},
        {"role": "user", "content": "Fix it, please."},
    ]  # fmt: skip


def _answer(items: list[dict[str, Any]], usage: dict[str, int]) -> bytes:
    events: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {"id": "msg_7", "role": "assistant", "usage": usage, "content": []},
        }
    ]
    for index, item in enumerate(items):
        start = item["start"]
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [
            {"type": "content_block_delta", "index": index, "delta": delta}
            for delta in item["deltas"]
        ]
        events.append({"type": "content_block_stop", "index": index})
    stop = "tool_use" if items[-1]["start"]["type"] == "tool_use" else "end_turn"
    events.append(
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 212}}
    )
    events.append({"type": "message_stop"})
    return b"".join(sse(*events))


def _text(text: str) -> dict[str, Any]:
    return {"start": {"type": "text", "text": ""}, "deltas": [{"type": "text_delta", "text": text}]}


FIRST = [
    {"start": {"type": "thinking", "thinking": "", "signature": ""},
     "deltas": [{"type": "thinking_delta", "thinking": THOUGHT}, {"type": "signature_delta",
     "signature": "EqQB"}]},
    _text("I will run the tests first."),
    {"start": {"type": "tool_use", "id": "toolu_11", "name": "Bash", "input": {}},
     "deltas": [{"type": "input_json_delta",
     "partial_json": '{"path": "pytest tests/test_lexer.py"}'}]},
]  # fmt: skip


def seed_session() -> list[Flow]:
    """The three requests, oldest first."""
    history = _history()
    client = [_body(history[:1]), _body(history[:3]), _body(history)]
    client[2]["tools"] = client[2]["tools"][1:]
    forwarded = json.loads(json.dumps(client))
    for number in (1, 2):
        forwarded[number]["system"][0]["text"] += "Today is Friday.\n"
    answers = [
        _answer(FIRST, {"input_tokens": 10, "cache_creation_input_tokens": 12_000}),
        _answer([_text(ANSWER)], {"input_tokens": 40, "cache_creation_input_tokens": 12_900}),
        _answer([_text("Done.")], {"input_tokens": 20, "cache_creation_input_tokens": 11_900}),
    ]
    tokens = [(12_010, 0, 12_000), (12_940, 0, 12_900), (12_600, 0, 11_900)]
    return [
        _flow(number, client[number], forwarded[number], answers[number], tokens[number])
        for number in range(len(client))
    ]


def _body(messages: list[dict[str, Any]]) -> dict[str, Any]:
    return {**messages_body("claude-haiku-4-5"), "messages": messages}


def _flow(
    number: int,
    client: dict[str, Any],
    forwarded: dict[str, Any],
    answer: bytes,
    tokens: tuple[int, int, int],
) -> Flow:
    asked, sent = json.dumps(client).encode(), json.dumps(forwarded).encode()
    flow = add_flow(
        TURN_IDS[number], 200 - number, host="api.anthropic.com", path="/v1/messages?beta=true",
        action="passthrough",
        provider="anthropic", provider_type="anthropic", requested_model="claude-haiku-4-5",
        sent_model="claude-haiku-4-5", session_id=SESSION, conversation_id="c0ffee",
        status_code=200, is_stream=True,
        client_format="anthropic_messages", provider_format="anthropic_messages",
        first_byte_ms=400.0,
        first_event_ms=410.0, duration_ms=2400.0 + 900 * number, request_size_bytes=len(asked),
        response_size_bytes=len(answer), input_tokens=tokens[0], output_tokens=212,
        cache_read_tokens=tokens[1],
        cache_write_tokens=tokens[2], cost_usd="0.016", price_version="genai-prices 0.2.3",
        client_url="http://127.0.0.1:4000/v1/messages?beta=true",
        forwarded_url="https://api.anthropic.com/v1/messages?beta=true",
        hooks_changed=["my_hooks.add_date"] if number else [],
    )  # fmt: skip
    add_side(flow, "client", CLIENT_HEADERS, asked, method="POST", url=flow.client_url)
    add_side(
        flow,
        "forwarded",
        {"Host": "api.anthropic.com"},
        sent,
        method="POST",
        url=flow.forwarded_url,
    )
    headers = {"content-type": "text/event-stream"}
    add_side(flow, "upstream", headers, answer, status_code=200, reason="OK")
    add_side(flow, "delivered", headers, answer, status_code=200, reason="OK")
    if number:
        add_trace(
            flow.pk, seq=0, stage="outbound", hook="my_hooks.add_date", outcome="ran", apply_ms=0.4,
            changed=["body"],
            body_before=store(asked), body_after=store(sent),
        )  # fmt: skip
    return flow
