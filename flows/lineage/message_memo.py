"""Digests of the messages that a request repeats from an earlier one. Not thread-safe.

An agent's request holds all earlier messages, byte for byte. Making their digests anew took more
time than everything else that is done for such a request. So the place of each message in the bytes
is kept with its digests:

    earlier  {"model":"m","messages":[{…0…},{…1…}]}         ends of 0 and 1 are known
    next     {"model":"m","messages":[{…0…},{…1…},{…2…}]}   same bytes up to the end of 1

What is the same from the first byte to the end of a message is the same message. The places are
found by encoding a message: where the client's bytes differ from that, nothing is kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from flows.bytes.matching import common_prefix
from flows.lineage.prompt_parts import Part, parts_of_message

DIGEST_BYTES: Final = 8
KEPT_BYTES: Final = 16 * 1024 * 1024
"""Most of these bodies are in the writer's caches too."""
KEPT_BODIES: Final = 16
LEAST_BYTES: Final = 16 * 1024
"""The messages of smaller bodies are read as fast as an earlier one is found."""
_KEY: Final = b'"messages":'


class MessageParts(NamedTuple):
    """The parts of one message: their digests, joined, their sizes, and those of replies."""

    digests: bytes
    sizes: Sequence[int]
    replies: Sequence[bytes]


@dataclass(slots=True)
class _Body:
    """A body, and its first messages: the index behind each, and its parts."""

    data: bytes
    ends: list[int]
    parts: list[MessageParts]


class MessageMemo:
    """The newest bodies whose messages are known, within a bound of memory."""

    def __init__(self, kept_bytes: int = KEPT_BYTES, kept_bodies: int = KEPT_BODIES) -> None:
        self._kept_bytes, self._kept_bodies = kept_bytes, kept_bodies
        self._bodies: OrderedDict[int, _Body] = OrderedDict()
        self._bytes = 0
        self._next = 0

    def parts_of(self, data: bytes, messages: Sequence[Any]) -> list[MessageParts]:
        """Return the parts of `messages`, the value of "messages" in the JSON `data`."""
        start = _start_of_messages(data)
        if start is None:
            return message_parts(messages, 0)
        known = self._longest(data)
        parts = [*known.parts, *message_parts(messages, len(known.parts))]
        ends = known.ends
        _add_ends(ends, data, start, messages)
        self._keep(_Body(data, ends, parts[: len(ends)]))
        return parts

    def _longest(self, data: bytes) -> _Body:
        """Return the earlier body that shares most messages, cut to these.

        One that is continued is forgotten: the new one takes its place.
        """
        found = _Body(data, [], [])
        continued = -1
        for number, body in self._bodies.items():
            same_bytes = common_prefix(data, body.data)
            # Behind a message comes a comma or the end: `1` may go on as `12`.
            count = sum(1 for end in body.ends if end < same_bytes)
            if count > len(found.ends):
                found = _Body(data, body.ends[:count], body.parts[:count])
                # Of two conversations with one beginning each goes on from its own.
                continued = number if count >= len(body.ends) - 1 else -1
        self._forget(continued)
        return found

    def _keep(self, body: _Body) -> None:
        if not body.ends or len(body.data) > self._kept_bytes:
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
    found: list[MessageParts] = []
    for number in range(first, len(messages)):
        path = f"messages[{number}]"
        found.append(compact_parts(list(parts_of_message(path, messages[number]))))
    return found


def compact_parts(parts: Sequence[Part]) -> MessageParts:
    """Return parts in their compact form."""
    digests = [part.digest[:DIGEST_BYTES] for part in parts]
    replies = [part.digest[:DIGEST_BYTES] for part in parts if part.is_reply]
    return MessageParts(b"".join(digests), [part.size_bytes for part in parts], replies)


def _start_of_messages(data: bytes) -> int | None:
    """Return the index of the first message; None where it is not certain, or of no use."""
    if len(data) < LEAST_BYTES:
        return None
    at = data.find(_KEY)
    start = at + len(_KEY)
    # A key of the same name elsewhere, such as in the arguments of a call, may be the wrong one.
    if at < 0 or data[start : start + 1] != b"[" or data.find(_KEY, start) >= 0:
        return None
    return start + 1


def _add_ends(ends: list[int], data: bytes, start: int, messages: Sequence[Any]) -> None:
    """Add the indexes behind the further messages, as long as they are written as expected."""
    at = ends[-1] + 1 if ends else start
    for message in messages[len(ends) :]:
        try:
            encoded = orjson.dumps(message)
        except TypeError:
            return
        end = at + len(encoded)
        if not data.startswith(encoded, at) or data[end : end + 1] not in (b",", b"]"):
            return
        ends.append(end)
        at = end + 1
