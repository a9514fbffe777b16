"""Turns of the console's requests: a few are worked on at once, the others wait in their order.

A browser that leaves a page closes its requests. One that still waits for its turn is dropped then,
before any work: 400 abandoned pages would keep the next one waiting for eleven seconds.

Django would cancel a view whose client left: its thread waits for the event loop, which waits for
the thread, and the console hangs for good. So a request that has begun hears of the close late.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

AT_ONCE: Final = 6
"""Requests in work. Threads share one processor's lock, so that more would only be slower."""
LEND_AFTER_S: Final = 1.0
"""A request that takes longer may wait for something else, so the next one begins."""


class _Turn:
    """The right to be worked on, which is given back once."""

    def __init__(self, turns: asyncio.Semaphore, lend_after_s: float) -> None:
        self._turns: asyncio.Semaphore | None = turns
        self._timer = asyncio.get_running_loop().call_later(lend_after_s, self.give_back)

    def give_back(self) -> None:
        turns, self._turns = self._turns, None
        self._timer.cancel()
        if turns is not None:
            turns.release()


class _WaitingRequest:
    """The two ends of an HTTP request, of which `receive` waits for the turn at the body's end."""

    def __init__(
        self, receive: Any, send: Any, turns: asyncio.Semaphore, lend_after_s: float
    ) -> None:
        self._receive = receive
        self._send = send
        self._turns = turns
        self._lend_after_s = lend_after_s
        self._is_read = False
        self._begun = asyncio.Event()
        self._turn: _Turn | None = None
        self._following: asyncio.Task[Any] | None = None

    async def receive(self) -> Any:
        """Return the next message; a close behind the body waits for the response's start.

        The end of the body comes once it is this request's turn. If the client leaves before that,
        the close comes instead: Django drops a request whose body has no end.
        """
        if self._following is not None:
            following, self._following = self._following, None
            message = await following
        else:
            message = await self._receive()
        if message["type"] == "http.request":
            self._is_read = not message.get("more_body", False)
            if self._is_read:
                return await self._close_before_turn() or message
        elif self._is_read:
            await self._begun.wait()
        return message

    async def send(self, message: Any) -> None:
        """Send a part of the response."""
        self._begun.set()
        # A download that the client reads slowly keeps no other request waiting.
        self._give_back()
        await self._send(message)

    def end(self) -> None:
        """Leave nothing behind."""
        self._give_back()
        if self._following is not None:
            self._following.cancel()

    async def _close_before_turn(self) -> Any:
        """Wait for the turn; return the message of a client that leaves before it, else None."""
        following = asyncio.ensure_future(self._receive())
        self._following = following
        # A close that came already is read in one round of the loop.
        await asyncio.sleep(0)
        if following.done():
            return following.result()
        waiting = asyncio.ensure_future(self._turns.acquire())
        try:
            await asyncio.wait({following, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if waiting.done():
                self._turn = _Turn(self._turns, self._lend_after_s)
            waiting.cancel()
        if not following.done():
            return None
        self._give_back()
        return following.result()

    def _give_back(self) -> None:
        if self._turn is not None:
            self._turn.give_back()


class RequestTurns:
    """An ASGI application around Django, in which each request waits for its turn.

    Args:
        application: Django.
        at_once: requests in work.
        lend_after_s: time after which a request that takes long keeps no other one waiting.
    """

    def __init__(
        self, application: Any, at_once: int = AT_ONCE, lend_after_s: float = LEND_AFTER_S
    ) -> None:
        self._application = application
        self._turns = asyncio.Semaphore(at_once)
        self._lend_after_s = lend_after_s

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one HTTP request."""
        request = _WaitingRequest(receive, send, self._turns, self._lend_after_s)
        try:
            await self._application(scope, request.receive, request.send)
        finally:
            request.end()
