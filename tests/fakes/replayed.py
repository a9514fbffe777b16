"""A provider that replays recorded answers in the order they are queued, and cuts their streams
where it hurts.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import deque
from collections.abc import Callable

from tests.fakes.upstream import Script, Seen, Upstream

JSON_HEADERS = (("content-type", "application/json"),)
SSE_HEADERS = (("content-type", "text/event-stream"),)
_NOTHING_QUEUED = b'{"error": {"message": "the test queued no answer for this request"}}'


class ReplayedUpstream(Upstream):
    """Answers each request with the next script of the queue, whatever its path."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: deque[Script] = deque()

    def script_for(self, seen: Seen) -> Script:
        """The next answer; an error that no client retries when there is none."""
        return self.queue.popleft() if self.queue else Script(status=400, pieces=(_NOTHING_QUEUED,))


def whole(body: bytes, status: int = 200, *more: tuple[str, str]) -> Script:
    """A JSON answer."""
    return Script(status=status, headers=(*JSON_HEADERS, *more), pieces=(body,))


def in_pieces(pieces: tuple[bytes, ...]) -> Script:
    """A stream, each piece a chunk of its own on the wire."""
    return Script(headers=SSE_HEADERS, pieces=pieces, framing="chunked")


def one_byte(stream: bytes) -> tuple[bytes, ...]:
    """Every byte alone."""
    return tuple(stream[n : n + 1] for n in range(len(stream)))


def inside_characters(stream: bytes) -> tuple[bytes, ...]:
    """A cut inside every character of more than one byte, and after every 61 bytes."""
    cuts = {n for n, byte in enumerate(stream) if byte & 0xC0 == 0x80} | set(
        range(61, len(stream), 61)
    )
    edges = [0, *sorted(cuts), len(stream)]
    return tuple(stream[start:end] for start, end in itertools.pairwise(edges))


def packed(stream: bytes) -> tuple[bytes, ...]:
    """Three events and the beginning of the next in each packet."""
    events = [event for event in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", stream) if event]
    ends = list(itertools.accumulate(map(len, events)))
    cuts = [end + 5 for end in ends[2::3] if end + 5 < len(stream)]
    return tuple(stream[start:end] for start, end in itertools.pairwise([0, *cuts, len(stream)]))


def noisy(stream: bytes) -> tuple[bytes, ...]:
    """CRLF line ends, comments, empty events, fields nobody knows; cut between CR and LF and inside
    characters.
    """
    plain = stream.replace(b"\r\n", b"\n")
    noise = b": keep-alive\n\nunknown: field\n\n"
    lines = (b"\xef\xbb\xbf: begin\n\n" + plain.replace(b"\n\n", b"\n\n" + noise)).replace(
        b"\n", b"\r\n"
    )
    cuts = {n for n, byte in enumerate(lines) if byte == 0x0A or byte & 0xC0 == 0x80}
    return tuple(
        lines[start:end] for start, end in itertools.pairwise([0, *sorted(cuts), len(lines)])
    )


CHUNKINGS: dict[str, Callable[[bytes], tuple[bytes, ...]]] = {
    "one byte": one_byte,
    "inside characters": inside_characters,
    "packed": packed,
    "noisy": noisy,
}


def in_envelope(answer: bytes, *, stream: bool) -> bytes:
    """A Google answer as Code Assist sends it, inside `response`."""
    if not stream:
        return b'{"response": ' + answer + b', "traceId": "t"}'
    return re.sub(rb"(?m)^data: ?([^\r\n]*)", rb'data: {"response": \1, "traceId": "t"}', answer)


def recorded(answer: object) -> bytes:
    """A recorded answer as bytes: a stream as it is, JSON spelled with its characters unescaped."""
    return answer if isinstance(answer, bytes) else json.dumps(answer, ensure_ascii=False).encode()
