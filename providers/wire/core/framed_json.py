"""Large JSON objects in three parts: the conversation, what stands before it, and what follows.

An agent sends the same system prompt and tools with every request of a session, in front of its
messages or behind them. Where such a frame is known, a body is parsed as frame and conversation,
so that the conversation's bytes are known and need not be encoded again:

    {"model":"m","messages":  [ … ]  ,"max_tokens":10}
          prefix              inside       suffix

Frame and conversation must parse. So no second key hides between them, as in
`[1],"model":"x","stop":[2]`, which a search for the parts would take for a conversation.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from providers.wire.core.jsonio import dumps

CONVERSATIONS: Final = ("messages", "input", "contents")
"""Members that hold most of a request, in all formats."""

MIN_BYTES: Final = 32 * 1024
"""Of a body: below it, encoding it again costs less than its parts."""

MAX_FRAME_BYTES: Final = 512 * 1024
MAX_FRAMES: Final = 16


class Frame(NamedTuple):
    """A body's bytes around its conversation, as we encode them."""

    name: str
    """Of the member that holds the conversation."""
    prefix: bytes
    suffix: bytes

    def size(self) -> int:
        """Return the number of bytes around the conversation."""
        return len(self.prefix) + len(self.suffix)

    def fits(self, data: bytes) -> bool:
        """Return True for a body that begins and ends as the frame does."""
        is_longer = len(data) > self.size()
        return is_longer and data.startswith(self.prefix) and data.endswith(self.suffix)

    def inside(self, data: bytes) -> memoryview:
        """Return the conversation's bytes of a body that fits."""
        return memoryview(data)[len(self.prefix) : len(data) - len(self.suffix)]

    def filled(self, inside: memoryview) -> bytes:
        """Return the body with a conversation."""
        return b"".join((self.prefix, inside, self.suffix))


def frame_of(value: Any) -> Frame | None:
    """Return the frame of a body, or None for one without a conversation."""
    if not isinstance(value, dict):
        return None
    name = next((name for name in CONVERSATIONS if isinstance(value.get(name), list)), None)
    if name is None:
        return None
    names = list(value)
    at = names.index(name)
    before = {key: value[key] for key in names[:at]}
    behind = {key: value[key] for key in names[at + 1 :]}
    prefix = dumps(before)[:-1] + (b"," if before else b"") + b'"' + name.encode() + b'":'
    suffix = b"," + dumps(behind)[1:] if behind else b"}"
    return Frame(name, prefix, suffix)


def loads_framed(data: bytes, frame: Frame) -> dict[str, Any] | None:
    """Parse a body that fits; None where its conversation is not one JSON value."""
    try:
        value: dict[str, Any] = orjson.loads(frame.prefix + b"null" + frame.suffix)
        value[frame.name] = orjson.loads(frame.inside(data))
    except ValueError:
        return None
    return value


class FrameMemo:
    """Frames of the sessions that were last shaped. Empty until a request takes a shape."""

    def __init__(self, min_bytes: int = MIN_BYTES) -> None:
        self._min_bytes = min_bytes
        self._frames: list[Frame] = []

    def parse(self, data: bytes) -> tuple[dict[str, Any], Frame] | None:
        """Return a body's value and its frame; None where no frame is known that it fits."""
        if not self._frames or len(data) < self._min_bytes:
            return None
        fitting = [frame for frame in self._frames if frame.fits(data)]
        if not fitting:
            return None
        # A session without tools may begin and end as one with tools does.
        frame = max(fitting, key=Frame.size)
        value = loads_framed(data, frame)
        if value is None:
            # Its own session teaches it again.
            self._frames = [other for other in self._frames if other is not frame]
            return None
        return value, frame

    def learn(self, value: Any, data: bytes) -> None:
        """Keep the frame of a body, for the next one of its session.

        Args:
            value: the parsed body.
            data: its bytes. Those that a client writes with spaces fit no frame.
        """
        frame = frame_of(value) if len(data) >= self._min_bytes else None
        if frame is None or frame in self._frames:
            return
        if frame.fits(data) and frame.size() <= MAX_FRAME_BYTES:
            self._frames = [frame, *self._frames[: MAX_FRAMES - 1]]


FRAMES: Final = FrameMemo()
