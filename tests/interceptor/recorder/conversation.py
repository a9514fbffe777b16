"""A proxy and recorders that come and go, over real socket pairs."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ccproxy_site.process.bridge import Bridge
from interceptor.recorder.answering import Answers
from interceptor.recorder.asking import RecorderQuestions
from providers.auth.refresh_lock import Held, InMemoryLogins, LoginState
from tests.patience import PATIENCE_S

MakeAnswers = Callable[[Callable[..., object]], Answers]


class ProxyEnd:
    """One proxy: its questions, and the connection with the recorder of the moment."""

    def __init__(self, make_answers: MakeAnswers, *, patience_s: float = PATIENCE_S) -> None:
        self.questions = RecorderQuestions(patience_s)
        self._make_answers = make_answers
        self._recorder: tuple[Bridge, Bridge, list[asyncio.Task[None]]] | None = None
        self.takes_replies = True
        self.lost_reply = asyncio.Event()
        """Set when a reply came and was not taken."""

    async def connect(self) -> None:
        """Start a recorder and connect the proxy with it."""
        ours, theirs = socket.socketpair()
        here, there = await Bridge.open(ours), await Bridge.open(theirs)
        tasks = [asyncio.create_task(self._hear(here)), asyncio.create_task(self._serve(there))]
        self._recorder = (here, there, tasks)
        self.questions.connect(here.say)

    async def end_recorder(self) -> None:
        """End the recorder as a killed one ends: unsaid things are lost, and so is what it held."""
        assert self._recorder is not None
        here, there, tasks = self._recorder
        self._recorder = None
        there._writer.transport.abort()
        await asyncio.wait(tasks, timeout=PATIENCE_S)
        await here.close()

    async def leave(self) -> None:
        """End the proxy."""
        assert self._recorder is not None
        here, _, tasks = self._recorder
        self._recorder = None
        here._writer.transport.abort()
        await asyncio.wait(tasks, timeout=PATIENCE_S)

    async def close(self) -> None:
        if self._recorder is not None:
            await self.end_recorder()

    async def _hear(self, bridge: Bridge) -> None:
        while (words := await bridge.hear()) is not None:
            if self.takes_replies:
                self.questions.hear(words)
            else:
                self.lost_reply.set()
        self.questions.disconnect(bridge.say)

    async def _serve(self, bridge: Bridge) -> None:
        answers = self._make_answers(bridge.say)
        while (words := await bridge.hear()) is not None:
            answers.hear(words)
        await answers.close()
        await bridge.close()


class LockedRows:
    """Rows of logins that are locked while they are held, as PostgreSQL's are."""

    def __init__(self) -> None:
        self.states: dict[str, LoginState] = {}
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[Held]:
        async with self.locks[key], InMemoryLogins(self.states).hold(key) as held:
            yield held

    async def waited_for(self, key: str) -> None:
        """Return once somebody waits for a row."""
        while not self.locks[key]._waiters:  # noqa: ASYNC110  # a lock tells nobody
            await asyncio.sleep(0.001)
