"""Histories that no client should send: each is translated soundly, or refused by name.

Blocks are dropped, repeated and moved, fields become empty, null or of another type, ids grow.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from providers.base.errors import MalformedBody, UnsupportedByTarget
from providers.base.names import WireFormatName
from providers.wire.core.base import TargetInfo
from providers.wire.core.jsonio import dumps
from providers.wire.translate import translate_request
from tests.fakes.vendor_grammar import mistakes
from tests.fakes.vendor_rules import refusals

from .asking import A, C, G, R

MODELS: dict[WireFormatName, str] = {
    A: "claude-opus-4-7",
    C: "gpt-4o",
    R: "gpt-5.1",
    G: "gemini-3-pro-preview",
}
FIELD: dict[WireFormatName, str] = {A: "messages", C: "messages", R: "input", G: "contents"}
PICTURE = "iVBORw0KGgo="
HISTORIES: dict[WireFormatName, list[dict[str, Any]]] = {
    A: [
        {"role": "user", "content": "question"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "text", "text": "first"},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "ü😀"}},
                {"type": "thinking", "thinking": "again", "signature": "c2lo"},
                {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "is_error": True,
                    "content": [
                        {"type": "text", "text": "failed"},
                        {
                            "type": "image",
                            "source": {
                                "type": "base64",
                                "media_type": "image/png",
                                "data": PICTURE,
                            },
                        },
                    ],
                },
                {"type": "tool_result", "tool_use_id": "toolu_1"},
                {"type": "text", "text": "go on"},
            ],
        },
    ],
    C: [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": [{"type": "text", "text": "question"}]},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"a": "ü"}'},
                },
                {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "two"}]},
        {"role": "tool", "tool_call_id": "call_1", "content": ""},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {
                    "type": "image_url",
                    "image_url": {"url": f"data:image/png;base64,{PICTURE}"},
                },
            ],
        },
    ],
    R: [
        {"role": "user", "content": [{"type": "input_text", "text": "question"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "call_2", "name": "f", "arguments": '{"a": 1}'},
        {
            "type": "function_call_output",
            "call_id": "call_2",
            "output": [
                {"type": "input_text", "text": "two"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"},
            ],
        },
        {"type": "function_call_output", "call_id": "call_1", "output": ""},
        {"role": "user", "content": "next"},
    ],
    G: [
        {"role": "user", "parts": [{"text": "question"}]},
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True},
                {"functionCall": {"name": "f", "args": {"a": "ü"}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"name": "f", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"output": "one"}}},
                {"functionResponse": {"name": "f", "response": {}}},
                {"inlineData": {"mimeType": "image/png", "data": PICTURE}},
            ],
        },
        {"role": "model", "parts": [{"text": "well"}]},
        {"role": "user", "parts": [{"text": "next"}]},
    ],
}
PAIRS = [(src, dst) for src in HISTORIES for dst in HISTORIES if src != dst]
ROUNDS = 60
UNCHANGED = ("type", "role")
IDS = ("id", "tool_use_id", "call_id", "tool_call_id", "name")


def fields(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each holder of a value with the key or index of the value."""
    entries: Any = ()
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    for key, inner in entries:
        yield value, key
        yield from fields(inner)


def reorder(history: list[Any], random: Random) -> None:
    """Drop, repeat or move one entry of any list."""
    found = [(holder, key) for holder, key in fields(history) if isinstance(holder, list)]
    if not found:
        return
    holder, index = random.choice(found)
    entry = holder.pop(index)
    match random.choice(["drop", "repeat", "move"]):
        case "repeat":
            holder[index:index] = [entry, copy.deepcopy(entry)]
        case "move":
            holder.insert(random.randint(0, len(holder)), entry)


def spoil(history: list[Any], random: Random) -> None:
    """Give one field a value that it should not have."""
    found = [
        (holder, key)
        for holder, key in fields(history)
        if isinstance(holder, dict) and isinstance(holder[key], str) and key not in UNCHANGED
    ]
    if found:
        holder, key = random.choice(found)
        holder[key] = random.choice(["", " \n", None, 7, [], {}, "é😀\u2028\x00" + holder[key]])


def lengthen(history: list[Any], random: Random) -> None:
    """Make an id or a name longer than any vendor takes, wherever it stands."""
    strings = [(holder, key) for holder, key in fields(history) if isinstance(holder[key], str)]
    ids = [holder[key] for holder, key in strings if key in IDS]
    if ids:
        old = random.choice(ids)
        for holder, key in strings:
            if holder[key] == old:
                holder[key] = "x" * 300


def mutated(src: WireFormatName, seed: int) -> dict[str, Any]:
    random = Random(seed)
    history = copy.deepcopy(HISTORIES[src])
    for _ in range(random.randint(1, 3)):
        random.choice([reorder, reorder, spoil, lengthen])(history, random)
    return {FIELD[src]: history, **({"max_tokens": 100} if src == A else {})}


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_a_broken_history_is_mended_or_refused_by_name(src, dst) -> None:
    for seed in range(ROUNDS):
        body = mutated(src, seed)
        target = TargetInfo(model=MODELS[dst])
        try:
            out, _ = translate_request(body, src, dst, target=target, model="m")
        except (MalformedBody, UnsupportedByTarget) as error:
            assert "Error)" not in str(error), (seed, body)
            continue
        dumps(out)
        assert mistakes(dst, out) == [], (seed, body)
        assert refusals(dst, MODELS[dst], out) == [], (seed, body)


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_texts_of_a_history_arrive_or_are_listed(src, dst) -> None:
    for seed in range(ROUNDS):
        body = mutated(src, seed)
        texts = [
            holder[key]
            for holder, key in fields(body)
            if key in ("text", "content", "output") and isinstance(holder[key], str)
        ]
        try:
            out, losses = translate_request(body, src, dst, model="m")
        except (MalformedBody, UnsupportedByTarget):
            continue
        sent = json.dumps(out)
        missing = [text for text in texts if json.dumps(text.strip())[1:-1] not in sent]
        assert not missing or losses, (seed, missing, body)


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_a_request_without_any_message_is_refused_by_name(src, dst) -> None:
    empty = {"role": "user", "parts": []} if src == G else {"role": "user", "content": []}
    for history in ([], [empty]):
        with pytest.raises(MalformedBody, match=FIELD[src]):
            translate_request({"max_tokens": 9, FIELD[src]: history}, src, dst, model="m")


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_an_empty_message_counts_for_nothing(src, dst) -> None:
    """A model that continues no assistant's message gets one of the user after it."""
    empty = {"role": "user", "parts": []} if src == G else {"role": "user", "content": []}
    said = {"role": "model", "parts": [{"text": "a"}]}
    if src != G:
        said = {"role": "assistant", "content": "a"}
    history = [HISTORIES[src][0] if src != C else HISTORIES[C][1], said, empty]
    body = {"max_tokens": 9, FIELD[src]: history}
    target = TargetInfo(model=MODELS[dst])
    out, losses = translate_request(body, src, dst, target=target, model="m")
    assert refusals(dst, MODELS[dst], out) == []
    assert any("without any content" in loss.reason for loss in losses)


def test_a_call_at_the_end_gets_a_result_before_a_message_that_follows() -> None:
    body = {"max_tokens": 9, "messages": HISTORIES[C][1:3]}
    out, _ = translate_request(body, C, A, target=TargetInfo(model=MODELS[A]), model="m")
    assert mistakes(A, out) == []
    kinds = [block["type"] for block in out["messages"][-1]["content"]]
    assert kinds == ["tool_result", "tool_result", "text"]


@pytest.mark.parametrize(
    ("src", "entry", "says"),
    [
        (A, {"role": "no"}, "messages[1].role"),
        (A, {"role": "user", "content": [{"type": "text"}]}, "messages[1].content[0].text"),
        (C, {"role": "no"}, "messages[1].role"),
        (C, {"role": "user", "content": [{"type": "text"}]}, "messages[1].content[0].text"),
        (C, {"role": "user", "content": "a", "name": 3}, "messages[1].name"),
        (R, {"role": "user", "content": [{"type": "input_text"}]}, "input[1].content[0].text"),
        (R, {"type": "function_call", "call_id": "c"}, "input[1].name"),
        (R, {"type": 3}, "input[1].type"),
        (G, {"role": "no"}, "contents[1].role"),
        (G, {"parts": [{"text": "a"}, {"text": 3}]}, "contents[1].parts[1].text"),
        (G, {"parts": [{"functionCall": {}}]}, "contents[1].parts[0].functionCall.name"),
    ],
)
def test_a_refusal_names_the_position(src, entry, says) -> None:
    first = {"role": "user", "parts": [{"text": "a"}]}
    if src != G:
        first = {"role": "user", "content": "a"}
    dst = C if src == A else A
    with pytest.raises(MalformedBody) as refused:
        translate_request({FIELD[src]: [first, entry]}, src, dst, model="m")
    assert str(refused.value).startswith(says)
