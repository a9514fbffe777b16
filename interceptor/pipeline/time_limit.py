"""Time limit that costs nothing where nothing waits. No Django, no mitmproxy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from functools import partial
from typing import Any


async def within[T](timeout_s: float, work: Awaitable[T]) -> T:
    """Return the result of `work`.

    The clock starts only when `work` has to wait for something: a timer takes 20 µs.

    Raises:
        TimeoutError: it took longer.
    """
    steps = work.__await__()
    try:
        awaited = next(steps)
    except StopIteration as done:
        result: T = done.value
        return result
    async with asyncio.timeout(timeout_s):
        return await _Begun(steps, awaited)


class _Begun[T]:
    """The rest of a coroutine that waits for its first future already."""

    def __init__(self, steps: Generator[Any, Any, T], awaited: Any) -> None:
        self._steps = steps
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, T]:
        awaited = self._awaited
        while True:
            try:
                got = yield awaited
            except BaseException as exc:  # a cancellation, among others, is the coroutine's affair
                go_on = partial(self._steps.throw, exc)
            else:
                go_on = partial(self._steps.send, got)
            try:
                awaited = go_on()
            except StopIteration as done:
                result: T = done.value
                return result
