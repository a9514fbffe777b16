"""Digests of repeated messages are those that reading them gives, and they are not read again."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import orjson
import pytest

from flows.lineage import message_memo
from flows.lineage.message_memo import (
    DIGEST_BYTES,
    MessageMemo,
    MessageParts,
    message_parts,
    parts_of_one,
)
from flows.lineage.prompt_call import prompt_call
from flows.lineage.prompt_parts import parts_of_message

COUNTED: list[int] = []


@pytest.fixture(autouse=True)
def count_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small bodies are kept as well, and each message that is read is counted."""
    read = parts_of_one
    COUNTED.clear()

    def counted(number: int, message: Any) -> Any:
        COUNTED.append(number)
        return read(number, message)

    monkeypatch.setattr(message_memo, "parts_of_one", counted)
    monkeypatch.setattr(message_memo, "LEAST_BYTES", 0)


def _read(memo: MessageMemo, data: bytes) -> list[MessageParts]:
    """Read a body in the way that the memo allows; what it repeats is what it says."""
    body = orjson.loads(data)
    repeated = memo.repeated(data)
    if repeated is None:
        return memo.parts_of("f", data, body["messages"])
    left = body | {"messages": body["messages"][repeated.message_count :]}
    assert orjson.dumps(repeated.body) == orjson.dumps(left)
    return memo.parts_of("f", data, repeated.body["messages"], repeated)


def _message(random: Random, number: int) -> Any:
    call = {"type": "tool_use", "id": f"t{number}", "name": "ls", "input": {"b": number, "a": "é"}}
    text = {"type": "text", "text": f'{number} "messages": \n [', "cache_control": {"x": 1}}
    odd = {"role": "user", "content": [{"type": "text", "text": "x", "n": random.choice([1, 1.0])}]}
    return random.choice(
        [
            {"role": "user", "content": f"text {number}"},
            {"role": "assistant", "content": [text, call]},
            odd,
            {"role": "user", "content": [{"type": "tool_result", "content": [text]}]},
            number,
            "a plain text",
        ]
    )


def _changed(random: Random, messages: list[Any]) -> None:
    """Change a message in a way that its digest shows, or add some."""
    kind = random.randrange(6)
    at = random.randrange(len(messages)) if messages else 0
    if kind == 0 and messages:
        messages[at] = _message(random, random.randrange(1000))
    elif kind == 1 and messages:
        del messages[at]
    elif kind == 2:
        for message in messages:
            blocks = message.get("content") if isinstance(message, dict) else None
            for block in blocks if isinstance(blocks, list) else ():
                if "input" in block:
                    block["input"] = dict(reversed(block["input"].items()))
    else:
        messages += [_message(random, random.randrange(1000)) for _ in range(3)]


def _written(random: Random, body: dict[str, Any]) -> bytes:
    if random.random() < 0.8:
        return orjson.dumps(body)
    separators = random.choice([(",", ":"), (", ", ": ")])
    return json.dumps(body, separators=separators).encode()


@pytest.mark.parametrize("seed", range(40))
def test_repeated_messages_have_the_digests_that_reading_gives(seed: int) -> None:
    random = Random(seed)
    memo = MessageMemo(kept_bytes=random.choice([500, 10**6]), kept_bodies=random.choice([1, 4]))
    sessions: list[list[Any]] = [[], [], []]
    for _ in range(40):
        messages = random.choice(sessions)
        _changed(random, messages)
        body: dict[str, Any] = {"model": random.choice(["m", "m", "n"]), "messages": messages}
        if random.random() < 0.2:
            # In front, it is what stands where the messages are looked for.
            nested = {"metadata": {"messages": random.choice([[1], messages[:1]])}}
            body = random.choice([body | nested, nested | body])
        data = _written(random, body)
        assert _read(memo, data) == message_parts(messages, 0)


def _blocks(random: Random) -> list[Any]:
    """Return blocks that differ in what counts, or in what does not."""
    text = {"type": "text", "text": random.choice(["a", "b", ""])}
    marked = text | {"cache_control": {"type": "ephemeral"}}
    call = {"type": "tool_use", "id": "t", "name": random.choice("xy")}
    arguments = random.choice([{"b": 1, "a": 2}, {"a": 2, "b": 1}, {"b": True, "a": 2}, [], "b"])
    result = {"type": "tool_result", "tool_use_id": "t", "content": random.choice([[text], "a"])}
    result_marked = result | {"content": [marked], "is_error": random.choice([True, 1, False])}
    odd = random.choice(["a", None, 2**70, {"a": "\ud83d"}, {"a": 1.0}, {"a": 1}, {}])
    kinds = [text, marked, call | {"input": arguments}, result, result_marked, odd]
    return random.choices(kinds, k=random.randrange(3))


def _any_message(random: Random) -> Any:
    content = random.choice([_blocks(random), _blocks(random), "a", "b", "", None, 3])
    message: dict[str, Any] = {"content": content}
    message["role"] = random.choice(["user", "assistant", None])
    more: dict[str, Any] = random.choice(
        [{}, {}, {"cache_control": {"x": 1}}, {"name": "n"}, {"name": 1}]
    )
    fields = [*(message | more).items()]
    random.shuffle(fields)
    return dict(fields)


def test_messages_have_equal_digests_if_their_parts_are_equal() -> None:
    random = Random(7)
    digests: dict[tuple[bytes, ...], bytes] = {}
    for _ in range(4000):
        message = _any_message(random)
        parts = list(parts_of_message("messages[0]", message))
        found = parts_of_one(0, message)
        whole = tuple(part.digest for part in parts)
        assert digests.setdefault(whole, found.digests) == found.digests, message
        assert len(found.sizes) == len(parts) == len(found.digests) // DIGEST_BYTES
        assert len(found.replies) == sum(part.is_reply for part in parts)
    assert len(set(digests.values())) == len(digests) > 200


@pytest.mark.parametrize(
    ("earlier", "data"),
    [
        # A message that goes on.
        (b'{"messages":[1]}', b'{"messages":[12]}'),
        # The same key in front, with the same messages.
        (
            b'{"metadata":{"messages":["a"]},"messages":["a"]}',
            b'{"metadata":{"messages":["a"]},"messages":["b"]}',
        ),
        # Spaces, so that a message does not end where its own bytes would.
        (b'{"messages":[  "x,"]}', b'{"messages":[  "x,y"]}'),
    ],
)
def test_what_only_looks_like_an_earlier_message_is_read(earlier: bytes, data: bytes) -> None:
    memo = MessageMemo()
    for each in (earlier, data):
        messages = orjson.loads(each)["messages"]
        assert _read(memo, each) == message_parts(messages, 0)


def test_of_several_keys_the_last_one_counts() -> None:
    memo = MessageMemo()
    data = b'{"messages":["a","b"]'
    for more in (b"", b',"messages":["a","x"]', b',"messages":["a","b"]'):
        data += more
        messages = orjson.loads(data + b"}")["messages"]
        assert _read(memo, data + b"}") == message_parts(messages, 0)


@pytest.mark.parametrize("tail", [{}, {"tools": [{"name": "ls", "input_schema": {"a": 1}}]}])
def test_a_call_is_the_same_with_a_memo(tail: dict[str, Any]) -> None:
    random, memo = Random(1), MessageMemo()
    body: dict[str, Any] = {"model": "m", "system": "Be brief.", "messages": []} | tail
    for number in range(12):
        body["messages"] += [_message(random, number), {"role": "assistant", "content": "ok"}]
        data = orjson.dumps(body)
        plain = prompt_call("f", 0.0, "m", body, is_cached=True)
        assert plain is not None and plain.replies
        repeated = memo.repeated(data)
        assert (repeated is not None) == (number > 1)
        left = body if repeated is None else repeated.body
        call = prompt_call(
            "f", 0.0, "m", left, is_cached=True, data=data, memo=memo, repeated=repeated
        )
        assert call == plain


def test_only_new_messages_of_conversations_side_by_side_are_read() -> None:
    memo = MessageMemo()
    first, second = [["first", 0]], [["second", 0]]
    shared = [{"role": "user", "content": "the same beginning"}]
    for turn in range(1, 20):
        for own in (first, second):
            own.append([own[0][0], turn])
            messages = [*shared, *own]
            COUNTED.clear()
            _read(memo, orjson.dumps({"messages": messages}))
            # The last one of before, behind which the earlier body ended, and the new one.
            assert len(COUNTED) <= 2 or turn == 1


def test_what_is_kept_is_bounded() -> None:
    memo = MessageMemo(kept_bytes=3000, kept_bodies=3)
    for number in range(20):
        messages = [[number, "x" * 900], "y"]
        _read(memo, orjson.dumps({"messages": messages}))
        assert len(memo._bodies) <= 3
        assert memo._bytes == sum(len(body.data) for body in memo._bodies.values()) <= 3000
    assert len(memo._bodies) == 3
