"""Two turns: what a provider signed in its answer comes back to it in the next request, through any
client format.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.core.sse import SseParser
from providers.wire.rules.replay import (
    SKIP_SIGNATURE_CHECK,
    ReplayStore,
    carry_in_id,
    read_id,
    seal,
    unseal,
)
from providers.wire.translate import (
    StreamTranslator,
    TargetInfo,
    translate_request,
    translate_response,
)

A, C, R, G = ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES, GOOGLE_GENERATE
SIGNATURE = base64.b64encode(bytes(range(256)) * 2).decode()
LONG = base64.b64encode(b"\x07" * 9000).decode()


def google_answer(signature: str) -> dict[str, Any]:
    parts = [
        {"text": "thinking", "thought": True},
        {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": signature},
        {"functionCall": {"name": "f", "args": {"a": 2}}},
    ]
    return {
        "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP"}],
        "modelVersion": "g",
    }


def next_turn(client: WireFormatName, answer: dict[str, Any]) -> dict[str, Any]:
    """The client's next request: its own history, the answer as it came, and results for its
    calls.
    """
    if client == A:
        calls = [block for block in answer["content"] if block["type"] == "tool_use"]
        results = [
            {"type": "tool_result", "tool_use_id": call["id"], "content": "ok"} for call in calls
        ]
        messages = [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": answer["content"]},
        ]
        return {
            "model": "m",
            "max_tokens": 99,
            "messages": [*messages, {"role": "user", "content": results}],
        }
    if client == C:
        message = {
            key: value
            for key, value in answer["choices"][0]["message"].items()
            if key != "reasoning_content"
        }
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
            for call in message["tool_calls"]
        ]
        return {"model": "m", "messages": [{"role": "user", "content": "go"}, message, *results]}
    if client == G:
        parts = answer["candidates"][0]["content"]["parts"]
        named = [part["functionCall"] for part in parts if "functionCall" in part]
        results = [
            {"functionResponse": {**call, "args": None, "response": {"result": "ok"}}}
            for call in named
        ]
        turns = [("user", [{"text": "go"}]), ("model", parts), ("user", results)]
        return {"contents": [{"role": role, "parts": parts} for role, parts in turns]}
    calls = [item for item in answer["output"] if item["type"] == "function_call"]
    results = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": "ok"}
        for call in calls
    ]
    return {"model": "m", "input": [{"role": "user", "content": "go"}, *answer["output"], *results]}


def whole_from_stream(client: WireFormatName, raw: bytes) -> dict[str, Any]:
    """The answer a client assembles from its stream."""
    bodies = [json.loads(event.data) for event in SseParser().feed(raw) if event.data != b"[DONE]"]
    if client == R:
        final: dict[str, Any] = bodies[-1]["response"]
        return final
    if client == A:
        blocks: list[dict[str, Any]] = []
        texts: dict[int, str] = {}
        for body in bodies:
            if body["type"] == "content_block_start":
                blocks.append(body["content_block"])
            elif body["type"] == "content_block_delta":
                delta = body["delta"]
                if delta["type"] == "input_json_delta":
                    texts[body["index"]] = texts.get(body["index"], "") + delta["partial_json"]
                else:
                    key = delta["type"].removesuffix("_delta")
                    blocks[body["index"]][key] = blocks[body["index"]].get(key, "") + delta[key]
        for index, text in texts.items():
            blocks[index]["input"] = json.loads(text)
        return {"content": blocks}
    if client == G:
        parts = [part for body in bodies for part in body["candidates"][0]["content"]["parts"]]
        return {"candidates": [{"content": {"parts": parts}}]}
    message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": []}
    for body in bodies:
        for call in body["choices"][0]["delta"].get("tool_calls", []) if body["choices"] else []:
            if "id" in call:
                message["tool_calls"].append(call)
            else:
                message["tool_calls"][-1]["function"]["arguments"] += call["function"]["arguments"]
    return {"choices": [{"message": message}]}


def to_client(
    provider: WireFormatName, client: WireFormatName, answer: dict[str, Any], raw: bytes | None
) -> dict[str, Any]:
    if raw is None:
        return translate_response(answer, provider, client)[0]
    stream = StreamTranslator(provider, client)
    return whole_from_stream(client, stream.feed(raw) + stream.flush())


@pytest.mark.parametrize("signature", [SIGNATURE, LONG], ids=["in-id", "in-store"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("client", [A, C, R])
def test_googles_signatures_come_back(client, streamed, signature):
    answer = google_answer(signature)
    raw = b"data: " + json.dumps(answer).encode() + b"\r\n\r\n" if streamed else None
    body, _ = translate_request(
        next_turn(client, to_client(G, client, answer, raw)),
        client,
        G,
        target=TargetInfo(model="gemini-3-pro"),
    )
    parts = body["contents"][1]["parts"]
    assert [part["functionCall"]["args"] for part in parts] == [{"a": 1}, {"a": 2}]
    assert [part.get("thoughtSignature") for part in parts] == [signature, None]
    assert "__sig_" not in json.dumps(body)
    names = [part["functionResponse"]["name"] for part in body["contents"][2]["parts"]]
    assert names == ["f", "f"]


def test_carried_signatures_never_reach_another_vendor():
    answer, _ = translate_response(google_answer(SIGNATURE), G, A)
    body, _ = translate_request(next_turn(A, answer), A, C)
    ids = [call["id"] for call in body["messages"][1]["tool_calls"]]
    assert all(len(call_id) <= 64 and "__sig_" not in call_id for call_id in ids)
    assert ids == [message["tool_call_id"] for message in body["messages"][2:]]


def test_googles_text_signatures_come_back_through_any_client():
    parts = [{"text": "I say "}, {"text": "this.", "thoughtSignature": SIGNATURE}]
    answer = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    for client in (A, C, R):
        raw = b"data: " + json.dumps(answer).encode() + b"\n\n"
        stream = StreamTranslator(G, client)
        assert stream.feed(raw) + stream.flush()
        message = {"role": "assistant", "content": "I say this."}
        key = "input" if client == R else "messages"
        body, _ = translate_request(
            {"max_tokens": 9, key: [{"role": "user", "content": "x"}, message]}, client, G
        )
        assert body["contents"][1]["parts"] == [
            {"text": "I say this.", "thoughtSignature": SIGNATURE}
        ]


def test_a_history_google_never_signed_gets_its_stand_in():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [call, {**call, "id": "d"}]},
    ]
    for model, want in (
        ("gemini-3-pro", [SKIP_SIGNATURE_CHECK, None]),
        ("gemini-2.5-pro", [None, None]),
    ):
        body, _ = translate_request({"messages": messages}, C, G, target=TargetInfo(model=model))
        assert [part.get("thoughtSignature") for part in body["contents"][1]["parts"]] == want


ANTHROPIC_ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 1, "output_tokens": 1},
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "SIG=="},
        {"type": "redacted_thinking", "data": "SECRET"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ],
}
ANTHROPIC_EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "msg_1", "model": "claude", "usage": {}}},
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": "", "signature": ""},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "hm"},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "signature_delta", "signature": "SIG=="},
    },
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "redacted_thinking", "data": "SECRET"},
    },
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    },
    {
        "type": "content_block_delta",
        "index": 2,
        "delta": {"type": "input_json_delta", "partial_json": '{"a": 1}'},
    },
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
]
ANTHROPIC_RAW = b"".join(
    b"data: " + json.dumps(event).encode() + b"\n\n" for event in ANTHROPIC_EVENTS
)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("client", [C, R, G])
def test_anthropics_thinking_comes_back(client, streamed):
    answer = to_client(A, client, ANTHROPIC_ANSWER, ANTHROPIC_RAW if streamed else None)
    body, _ = translate_request(
        next_turn(client, answer), client, A, target=TargetInfo(model="claude-sonnet-4-5")
    )
    assert body["messages"][1]["content"] == ANTHROPIC_ANSWER["content"]


RESPONSES_ANSWER = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-5",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "ENC"},
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "f",
            "arguments": '{"a":1}',
        },
    ],
}


@pytest.mark.parametrize("client", [A, C, G])
def test_openais_encrypted_reasoning_comes_back(client):
    answer, _ = translate_response(RESPONSES_ANSWER, R, client)
    body, _ = translate_request(
        next_turn(client, answer), client, R, target=TargetInfo(model="gpt-5")
    )
    reasoning = [item for item in body["input"] if item.get("type") == "reasoning"]
    assert len(reasoning) == 1
    assert (reasoning[0]["id"], reasoning[0]["encrypted_content"]) == ("rs_1", "ENC")
    kinds = [item.get("type") for item in body["input"]]
    assert kinds.index("reasoning") < kinds.index("function_call")


def test_reasoning_means_nothing_to_a_third_vendor():
    answer, _ = translate_response(RESPONSES_ANSWER, R, A)
    body, losses = translate_request(next_turn(A, answer), A, G)
    assert "ENC" not in json.dumps(body)
    assert "ccproxy1" not in json.dumps(body)
    assert any("signed" in loss.reason for loss in losses)


def test_ids_and_seals_are_read_back_exactly():
    for signature in (SIGNATURE, "a", "ab==", "not base64 ü", "url-safe_only", "x" * 5000):
        call_id = carry_in_id("call_1", signature)
        assert read_id(call_id) == ("call_1", signature)
        assert all(char.isalnum() or char in "_-" for char in call_id)
    assert read_id("toolu_9") == ("toolu_9", None)
    assert unseal(seal("google_generate", "a:b", "i", redacted=True)) == (
        "google_generate",
        "a:b",
        "i",
        True,
    )
    for plain in ("SIG", "ccproxy1:", "ccproxy1:nobody:0::x", ""):
        assert unseal(plain) is None


def test_the_store_is_bounded():
    store = ReplayStore(max_entries=3, max_chars=10)
    for number in range(5):
        store.put(str(number), number, 2)
    assert [store.get(str(number)) for number in range(5)] == [None, None, 2, 3, 4]
    store.put("big", "b", 8)
    assert store.get("2") is None
    assert (store.get("4"), store.get("big")) == (4, "b")
    store.put("huge", "h", 11)
    assert store.get("huge") is None
