"""Streams whose data is handled in the callback that received it.

asyncio keeps what arrives in a buffer and wakes the task that reads. That takes a future, a turn of
the loop with its system call, and two copies of the bytes: a fifth of the CPU time of an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

READ_BYTES = 512 * 1024


class LargeReads(asyncio.StreamReader):
    """A client's stream in chunks of up to `READ_BYTES`; mitmproxy asks for 64 KB.

    Each chunk costs 60 µs, and agents send a megabyte with every turn.
    """

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self.stream = stream
        # asyncio pauses reading at twice the limit. It offers no way to change that of a stream
        # that exists; mitmproxy has made it.
        vars(stream)["_limit"] = READ_BYTES

    def __repr__(self) -> str:
        return f"LargeReads({self.stream!r})"

    async def read(self, n: int = -1) -> bytes:
        """Return what has arrived, `READ_BYTES` at most; b"" at the end."""
        return await self.stream.read(max(n, READ_BYTES))


@contextmanager
def delivered_at_once(
    reader: asyncio.StreamReader, deliver: Callable[[bytes], bool]
) -> Iterator[None]:
    """Give data to `deliver` while a task waits for it in `read`.

    Data takes asyncio's own way when no task waits, or when `deliver` returns False. The end of the
    stream and its failure always do, so `read` returns then.

    Args:
        reader: the stream, or `LargeReads` around it.
        deliver: handles data and returns True, or returns False and leaves it alone.
    """
    stream = reader.stream if isinstance(reader, LargeReads) else reader
    keep = stream.feed_data

    def feed_data(data: bytes) -> None:
        waiter = stream._waiter  # type: ignore[attr-defined]
        # A cancelled read gets nothing more. What has to wait must not be overtaken: nobody waits
        # while the buffer holds something.
        if not data or waiter is None or waiter.done() or not deliver(data):
            keep(data)

    vars(stream)["feed_data"] = feed_data
    try:
        yield
    finally:
        vars(stream).pop("feed_data", None)
