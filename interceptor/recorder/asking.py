"""The proxy's end of its questions to the recorder, over all the recorder's lives."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, Protocol

PATIENCE_S = 5.0
"""How long a question waits for a recorder that is being started again."""


class RecorderAway(Exception):
    """There is no recorder, or it does not answer in time."""


class RecorderLost(RecorderAway):
    """The recorder ended after it was asked; it may have done what it was asked for."""


class RecorderRefused(Exception):
    """The recorder could not do what it was asked for; one sentence without secrets."""


class Recorder(Protocol):
    """A process that answers questions."""

    @property
    def is_here(self) -> bool:
        """True while there is a connection."""

    async def ask(self, name: str, **values: Any) -> dict[str, Any]:
        """Ask a question and return what the recorder replies.

        Raises:
            RecorderAway: no reply came.
            RecorderRefused: the recorder said no.
        """


class RecorderQuestions:
    """Questions on one event loop; implements `Recorder`.

    The owner of the connection calls `connect` when there is one, `hear` with each line that holds
    "reply", and `disconnect` when it ended.

    Args:
        patience_s: how long a question waits for a recorder that is being started again.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._say: Callable[..., object] | None = None
        self._here = asyncio.Event()
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    @property
    def is_here(self) -> bool:
        """True while there is a connection."""
        return self._say is not None

    def connect(self, say: Callable[..., object]) -> None:
        """Ask the recorder behind `say`, such as `Bridge.say`, from now on."""
        self._give_up()
        self._say = say
        self._here.set()

    def disconnect(self, say: Callable[..., object]) -> None:
        """Note that the recorder behind `say` is gone, unless another one has its place already."""
        if say == self._say:
            self._say = None
            self._here.clear()
            self._give_up()

    def _give_up(self) -> None:
        """End all questions: what was asked will not be answered."""
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done():
                answer.set_exception(RecorderLost("the recorder ended before it answered"))

    def hear(self, words: dict[str, Any]) -> None:
        """Take a line with a reply; its question may have been given up meanwhile."""
        answer = self._waiting.pop(words["reply"], None)
        if answer is None or answer.done():
            return
        if "error" in words:
            answer.set_exception(RecorderRefused(words["error"]))
        else:
            answer.set_result(words["values"])

    async def ask(self, name: str, **values: Any) -> dict[str, Any]:
        """Ask a question and return what the recorder replies.

        Waits for a recorder that is being started again.

        Raises:
            RecorderAway: no recorder came, or it ended before it answered.
            RecorderRefused: the recorder said no.
        """
        say = await self._connected()
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            say(ask=number, name=name, values=values)
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def _connected(self) -> Callable[..., object]:
        if self._say is None:
            try:
                async with asyncio.timeout(self._patience_s):
                    await self._here.wait()
            except TimeoutError:
                raise RecorderAway("the recorder is away") from None
        # It may have gone again between the event and this line.
        if self._say is None:
            raise RecorderAway("the recorder is away")
        return self._say
