"""Data is handled where it arrives while a task waits for it, and takes asyncio's way else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from interceptor.mitm.events.direct_reads import LargeReads, delivered_at_once

READ_BYTES = 65535


class Taker:
    """Notes what it is given; leaves it alone while `refuses` is true."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.refuses = False

    def __call__(self, data: bytes) -> bool:
        if not self.refuses:
            self.taken.append(data)
        return not self.refuses


async def waiting(stream: asyncio.StreamReader) -> asyncio.Task[bytes]:
    """A task that waits for data."""
    task = asyncio.create_task(stream.read(READ_BYTES))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


def run(scene: Callable[[asyncio.StreamReader, Taker], Awaitable[None]]) -> None:
    async def main() -> None:
        await scene(asyncio.StreamReader(), Taker())

    asyncio.run(main())


def test_a_waiting_task_sleeps_on() -> None:
    async def scene(stream: asyncio.StreamReader, taker: Taker) -> None:
        with delivered_at_once(stream, taker):
            task = await waiting(stream)
            stream.feed_data(b"one")
            stream.feed_data(b"two")
            await asyncio.sleep(0)
            assert taker.taken == [b"one", b"two"] and not task.done()
            stream.feed_eof()
            assert await task == b""

    run(scene)


def test_nothing_overtakes_what_was_left_alone() -> None:
    async def scene(stream: asyncio.StreamReader, taker: Taker) -> None:
        with delivered_at_once(stream, taker):
            task = await waiting(stream)
            taker.refuses = True
            stream.feed_data(b"one")
            taker.refuses = False
            stream.feed_data(b"two")
            assert await task == b"onetwo" and taker.taken == []
            stream.feed_data(b"three")  # nobody waits
            assert taker.taken == [] and await stream.read(READ_BYTES) == b"three"
            task = await waiting(stream)
            stream.feed_data(b"four")
            assert taker.taken == [b"four"]
            task.cancel()

    run(scene)


def test_a_cancelled_read_gets_nothing_more() -> None:
    async def scene(stream: asyncio.StreamReader, taker: Taker) -> None:
        with delivered_at_once(stream, taker):
            task = await waiting(stream)
            task.cancel()
            stream.feed_data(b"late")
            with pytest.raises(asyncio.CancelledError):
                await task
            assert taker.taken == []

    run(scene)


def test_a_failure_reaches_the_task() -> None:
    async def scene(stream: asyncio.StreamReader, taker: Taker) -> None:
        with delivered_at_once(LargeReads(stream), taker):
            task = await waiting(stream)
            stream.feed_data(b"one")
            stream.set_exception(ConnectionResetError())
            with pytest.raises(ConnectionResetError):
                await task
            assert taker.taken == [b"one"]
        assert "feed_data" not in vars(stream)

    run(scene)
