"""The recorder's end of the questions of one proxy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from interceptor.recorder.asking import RecorderRefused

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 5.0
"""A handler may wait for a database that does not answer; it then ends in the background."""

Handler = Callable[..., Awaitable[dict[str, Any]]]
"""Takes the values of a question by name and returns those of its answer.

May raise `RecorderRefused` with a sentence for the proxy.
"""


async def _nothing() -> None:
    """Do nothing."""


class Answers:
    """Answers to the questions of one connection, each in a task of its own.

    Args:
        handlers: by the names of questions.
        say: sends a line to the proxy, such as `Bridge.say`.
        give_back: called when the connection has ended, after all handlers.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        say: Callable[..., object],
        give_back: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self._handlers = handlers
        self._say = say
        self._give_back = give_back
        self._tasks: set[asyncio.Task[None]] = set()

    def hear(self, words: dict[str, Any]) -> None:
        """Take a line with a question, and answer it as soon as possible."""
        task = asyncio.create_task(self._answer(words), name=f"answer {words['name']}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Answer no more, and give back what the proxy held: its connection has ended."""
        ending = asyncio.create_task(self._end(list(self._tasks)), name="give back")
        self._tasks.add(ending)
        ending.add_done_callback(self._tasks.discard)
        await asyncio.wait({ending}, timeout=CLOSE_TIMEOUT_S)

    async def _end(self, answering: list[asyncio.Task[None]]) -> None:
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
        await self._give_back()

    async def _answer(self, words: dict[str, Any]) -> None:
        name = words["name"]
        try:
            values = await self._handler(name)(**words["values"])
        except RecorderRefused as exc:
            self._say(reply=words["ask"], error=str(exc))
        except Exception as exc:
            # Without the question's values: they hold tokens.
            logger.exception("the question %s of a proxy could not be answered", name)
            self._say(reply=words["ask"], error=f"the recorder failed ({type(exc).__name__})")
        else:
            self._say(reply=words["ask"], values=values)

    def _handler(self, name: str) -> Handler:
        try:
            return self._handlers[name]
        except KeyError:
            raise RecorderRefused(f"the recorder knows no question “{name}”") from None
