"""The time limit: no clock for work that waits for nothing; otherwise what `asyncio.timeout`
does.
"""

from __future__ import annotations

import asyncio

import pytest

from interceptor.pipeline.time_limit import within

LONG_S = 60.0


@pytest.fixture
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: float) -> None:
        pytest.fail("a clock was started")

    monkeypatch.setattr(asyncio, "timeout", fail)


async def steps(*results: int) -> list[int]:
    """Wait for a future that is set later, once for each result."""
    loop, got = asyncio.get_running_loop(), []
    for result in results:
        future: asyncio.Future[int] = loop.create_future()
        loop.call_later(0.001, future.set_result, result)
        got.append(await future)
        await asyncio.sleep(0)
    return got


@pytest.mark.usefixtures("no_clock")
async def test_work_that_does_not_wait_starts_no_clock() -> None:
    assert await within(LONG_S, steps()) == []


@pytest.mark.usefixtures("no_clock")
async def test_an_error_before_anything_is_waited_for() -> None:
    async def fail() -> None:
        raise ValueError("at once")

    with pytest.raises(ValueError, match="at once"):
        await within(LONG_S, fail())


async def test_a_result_after_several_waits() -> None:
    assert await within(LONG_S, steps(1, 2, 3)) == [1, 2, 3]


async def test_a_future_is_work_too() -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, "done")
    assert await within(LONG_S, future) == "done"


async def test_an_error_after_a_wait() -> None:
    async def fail() -> None:
        await steps(1)
        raise ValueError("later")

    with pytest.raises(ValueError, match="later"):
        await within(LONG_S, fail())


async def test_an_error_of_what_is_waited_for_comes_to_the_work() -> None:
    async def recover() -> str:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, KeyError("of the future"))
        try:
            await future
        except KeyError:
            await steps(1)
            return "recovered"
        return "nothing came"

    assert await within(LONG_S, recover()) == "recovered"


async def test_the_limit_ends_the_work() -> None:
    told: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    with pytest.raises(TimeoutError):
        await within(0.01, work())
    assert told == ["cancelled"]
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0


async def test_the_limit_counts_every_wait() -> None:
    async def work() -> None:
        for _ in range(100_000):
            await asyncio.sleep(0.001)

    with pytest.raises(TimeoutError):
        await within(0.05, work())


async def test_a_limit_of_the_works_own_is_told_from_ours() -> None:
    async def work() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            await steps(1)
            return "its own"
        return "none"

    assert await within(LONG_S, work()) == "its own"


async def test_a_cancellation_from_outside_reaches_the_work() -> None:
    told: list[str] = []
    waiting = asyncio.Event()

    async def work() -> None:
        await steps(1)
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            told.append("cleaned up")

    task = asyncio.create_task(within(LONG_S, work()))
    await waiting.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["cleaned up"]


async def test_a_cancellation_reaches_work_that_only_gives_way() -> None:
    async def work() -> int:
        turns = 0
        try:
            for _ in range(1000):
                await asyncio.sleep(0)
                turns += 1
        except asyncio.CancelledError:
            return turns
        return -1

    task = asyncio.create_task(within(LONG_S, work()))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    assert 0 < await task < 1000
