"""Digests of the messages that a request repeats from an earlier one. Not thread-safe.

An agent's request holds all earlier messages, byte for byte. Making their digests anew took more
time than everything else that is done for such a request. So the place of each message in the bytes
is kept with its digests:

    earlier  {"model":"m","messages":[{…0…},{…1…}]}         ends of 0 and 1 are known
    next     {"model":"m","messages":[{…0…},{…1…},{…2…}]}   same bytes up to the end of 1

What is the same from the first byte to the end of a message is the same message. The places are
found by encoding the messages: where the client's bytes differ from that, nothing is kept. Once
they are known, the next request is parsed without the messages that it repeats:

    next     {"model":"m","messages":[{…2…}]}

Digests live as long as the process, so those of usual messages are Python's own hashes of their
texts, which need no encoding: a tenth of the time.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from flows.bytes.matching import common_prefix
from flows.lineage.prompt_parts import (
    CACHE_MARKS,
    REPLYING_ROLES,
    Part,
    counted_json,
    only_messages,
    parts_of_message,
)
from flows.reading.json_text import parse_json

DIGEST_BYTES: Final = 8
KEPT_BYTES: Final = 12 * 1024 * 1024
"""Most of these bodies are in the writer's caches too."""
KEPT_BODIES: Final = 16
LEAST_BYTES: Final = 16 * 1024
"""The messages of smaller bodies are read as fast as an earlier one is found."""
_KEY: Final = b'"messages":'
_TEXTS: Final = frozenset({str})
_FEW_MESSAGES: Final = 8
_USUAL_KEYS: Final = 2
"""Of a message: `role` and `content`."""


class MessageParts(NamedTuple):
    """The parts of one message: their digests, joined, their sizes, and those of replies."""

    digests: bytes
    sizes: Sequence[int]
    replies: Sequence[bytes]


class Repeated(NamedTuple):
    """Messages that a request repeats of an earlier one, and what is left of it without them.

    `is_all`: the request begins with all messages of the earlier one. Where a client has moved its
    cache mark, some of them have other bytes, and are not left out.
    """

    flow_id: str
    message_count: int
    is_all: bool
    body: dict[str, Any]


@dataclass(slots=True)
class _Body:
    """A body, and its messages' parts.

    `ends`: the indexes behind its first messages, as far as they are known.
    `has_one_key`: the messages are certainly those behind the first key; None before a look.
    """

    flow_id: str
    data: bytes
    ends: list[int]
    parts: list[MessageParts]
    has_one_key: bool | None = None


class _Shared(NamedTuple):
    """An earlier body, and how many bytes another one begins with as it does."""

    number: int
    body: _Body
    size_bytes: int


class MessageMemo:
    """The newest bodies whose messages are known, within a bound of memory."""

    def __init__(self, kept_bytes: int = KEPT_BYTES, kept_bodies: int = KEPT_BODIES) -> None:
        self._kept_bytes, self._kept_bodies = kept_bytes, kept_bodies
        self._bodies: OrderedDict[int, _Body] = OrderedDict()
        self._bytes = 0
        self._next = 0
        # Of the last body that was looked for: it is asked for a second time at once.
        self._last: tuple[bytes, _Shared | None] = (b"", None)

    def repeated(self, data: bytes) -> Repeated | None:
        """Return what the JSON `data` repeats; None where all of it is to be read."""
        start = _start_of_messages(data)
        shared = self._shared(data, start) if start is not None else None
        if start is None or shared is None:
            return None
        earlier = shared.body
        count = sum(1 for end in earlier.ends if _is_shared(end, data, shared))
        if not count or not self._has_one_key(data, shared):
            return None
        end = earlier.ends[count - 1]
        left = data[end + 1 :] if data[end : end + 1] == b"," else data[end:]
        body = parse_json(data[:start] + left).value
        # The newest message is read in any case.
        if not (messages := only_messages(body)):
            return None
        is_all = _begin_with(messages, earlier.parts[count:])
        return Repeated(earlier.flow_id, count, is_all, body)

    def parts_of(
        self,
        flow_id: str,
        data: bytes,
        messages: Sequence[Any],
        repeated: Repeated | None = None,
    ) -> list[MessageParts]:
        """Return the parts of all messages of the JSON `data`.

        `messages`: the value of "messages", or without those that are `repeated`.
        """
        start = _start_of_messages(data)
        if start is None:
            return message_parts(messages, 0)
        shared = self._shared(data, start)
        self._last = (b"", None)
        body = _Body(flow_id, data, [], [])
        if shared is not None:
            body.has_one_key = self._has_one_key(data, shared)
        if shared is None or not body.has_one_key:
            body.parts = message_parts(messages, 0)
        else:
            self._go_on(body, start, messages, shared, repeated)
        self._keep(body)
        return body.parts

    def _go_on(
        self,
        body: _Body,
        start: int,
        messages: Sequence[Any],
        shared: _Shared,
        repeated: Repeated | None,
    ) -> None:
        """Set the parts of a body, those that an earlier one has from there."""
        earlier = shared.body
        if repeated is not None:
            count = repeated.message_count
            body.ends = earlier.ends[:count]
            _add_ends(body, start, messages)
            new = messages
        else:
            _add_ends(body, start, messages)
            ends = body.ends[: len(earlier.parts)]
            count = sum(1 for end in ends if _is_shared(end, body.data, shared))
            new = messages[count:]
        body.parts = [*earlier.parts[:count], *message_parts(new, 0)]
        # Of two conversations with one beginning each goes on from its own.
        if count >= len(earlier.parts) - 1:
            self._forget(shared.number)

    def _shared(self, data: bytes, start: int) -> _Shared | None:
        """Return the earlier body that goes on longest as this one begins."""
        last_data, found = self._last
        if last_data is data:
            return found
        found, longest = None, start
        for number, body in self._bodies.items():
            size_bytes = common_prefix(data, body.data)
            if size_bytes > longest:
                found, longest = _Shared(number, body, size_bytes), size_bytes
        self._last = (data, found)
        return found

    def _has_one_key(self, data: bytes, shared: _Shared) -> bool:
        """Return whether both bodies have their messages behind their first key, for certain."""
        earlier = shared.body
        if earlier.has_one_key is None:
            earlier.has_one_key = earlier.data.count(_KEY) == 1
        return earlier.has_one_key and data.find(_KEY, shared.size_bytes - len(_KEY)) < 0

    def _keep(self, body: _Body) -> None:
        if len(body.data) > self._kept_bytes:
            return
        self._bodies[self._next] = body
        self._next += 1
        self._bytes += len(body.data)
        while self._bytes > self._kept_bytes or len(self._bodies) > self._kept_bodies:
            self._forget(next(iter(self._bodies)))

    def _forget(self, number: int) -> None:
        body = self._bodies.pop(number, None)
        if body is not None:
            self._bytes -= len(body.data)


def message_parts(messages: Sequence[Any], first: int) -> list[MessageParts]:
    """Return the parts of the messages from this one on."""
    return [parts_of_one(number, messages[number]) for number in range(first, len(messages))]


def parts_of_one(number: int, message: Any) -> MessageParts:
    """Return the parts of the message of this number."""
    usual = _usual_parts(message)
    if usual is not None:
        return usual
    return compact_parts(list(parts_of_message(f"messages[{number}]", message)))


def _usual_parts(message: Any) -> MessageParts | None:
    """Return the parts of a message of nothing but a role and blocks; None for any other.

    Whether it is one depends on what counts alone, so that equal messages are read in one way.
    """
    if type(message) is not dict:
        return None
    if len(message) != _USUAL_KEYS:
        message = _unmarked(message)
    role, content = message.get("role"), message.get("content")
    if len(message) != _USUAL_KEYS or type(role) is not str:
        return None
    if type(content) is str:
        content = [{"type": "text", "text": content}]
    if type(content) is not list or not content:
        return None
    digests_of_blocks, sizes = array("q"), []
    for block in content:
        part = _usual_part(role, block)
        if part is None:
            return None
        digests_of_blocks.append(part[0])
        sizes.append(part[1])
    digests = digests_of_blocks.tobytes()
    replies: list[bytes] = []
    if role in REPLYING_ROLES:
        starts = range(0, len(digests), DIGEST_BYTES)
        replies = [digests[start : start + DIGEST_BYTES] for start in starts]
    return MessageParts(digests, sizes, replies)


def _usual_part(role: str, block: Any) -> tuple[int, int] | None:
    """Return the digest and the size of a block; None if it is no object, or orjson refuses it.

    The size counts characters: of two calls it tells which one shares more with a third.
    """
    if type(block) is not dict:
        return None
    if not CACHE_MARKS.isdisjoint(block):
        block = _unmarked(block)
    encoded = b""
    if not _TEXTS.issuperset(map(type, block.values())):
        others = {key: value for key, value in block.items() if type(value) is not str}
        block = {key: value for key, value in block.items() if type(value) is str}
        try:
            encoded = counted_json(others)
        except TypeError:
            return None
    size = len(role) + sum(map(len, block.values())) + len(encoded)
    return hash((role, frozenset(block.items()), encoded)), size


def _unmarked(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in CACHE_MARKS}


def compact_parts(parts: Sequence[Part]) -> MessageParts:
    """Return parts in their compact form."""
    digests = [part.digest[:DIGEST_BYTES] for part in parts]
    replies = [part.digest[:DIGEST_BYTES] for part in parts if part.is_reply]
    return MessageParts(b"".join(digests), [part.size_bytes for part in parts], replies)


def _start_of_messages(data: bytes) -> int | None:
    """Return the index of the first message; None where it is not certain, or of no use.

    A second key of this name, such as in the arguments of a call, would make it uncertain. It is
    looked for once another body begins in the same way.
    """
    if len(data) < LEAST_BYTES:
        return None
    at = data.find(_KEY)
    start = at + len(_KEY)
    if at < 0 or data[start : start + 1] != b"[":
        return None
    return start + 1


def _begin_with(messages: Sequence[Any], parts: Sequence[MessageParts]) -> bool:
    """Return whether messages begin with those that have these parts, which are few."""
    return len(parts) <= _FEW_MESSAGES and message_parts(messages[: len(parts)], 0) == parts


def _is_shared(end: int, data: bytes, shared: _Shared) -> bool:
    """Return whether a message that ends here in the one body does in the other as well.

    Behind a message comes a comma or the end: `1` may go on as `12`.
    """
    if end < shared.size_bytes:
        return True
    return end == shared.size_bytes and data[end : end + 1] in (b",", b"]")


def _add_ends(body: _Body, start: int, messages: Sequence[Any]) -> None:
    """Add the indexes behind further messages, as long as they are written as expected."""
    data = body.data
    at = body.ends[-1] + 1 if body.ends else start
    for message in messages:
        try:
            encoded = orjson.dumps(message)
        except TypeError:
            return
        end = at + len(encoded)
        if not data.startswith(encoded, at) or data[end : end + 1] not in (b",", b"]"):
            return
        body.ends.append(end)
        at = end + 1
