"""Runs every request of the console in a context of its own.

Twisted reads the next request of a connection in the context of the code that asked for more,
which may be in the middle of another request. asgiref keeps in that context which thread serves it:
the next request would be given a thread that has ended ("CurrentThreadExecutor already quit").

Its thread belongs to this module as well. Django's own way waits for that thread on the event loop
when a client has gone, and the thread may be waiting for the loop: the console would stand still.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext


class _HeldDisconnect:
    """The two ends of an HTTP request, of which `receive` tells of its close late."""

    def __init__(self, receive: Any, send: Any) -> None:
        self._receive = receive
        self._send = send
        self._is_read = False
        self._begun = asyncio.Event()

    async def receive(self) -> Any:
        """Return the next message; a close behind the body waits for the response's start."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._is_read = not message.get("more_body", False)
        elif self._is_read:
            await self._begun.wait()
        return message

    async def send(self, message: Any) -> None:
        """Send a part of the response."""
        self._begun.set()
        await self._send(message)


class LateDisconnect:
    """An ASGI application around Django, which hears of a client's close once it responds.

    A browser that leaves a page closes its requests. Django would then cancel the view: its thread
    waits for the event loop, which waits for the thread, and the console hangs for good.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one HTTP request."""
        held = _HeldDisconnect(receive, send)
        await self._application(scope, held.receive, held.send)


class FreshContext:
    """An ASGI application around another."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request; cancelling this call cancels it."""
        work = self._served(scope, receive, send)
        await asyncio.get_running_loop().create_task(work, context=Context())

    async def _served(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request with a thread that ends by itself, once its work is done."""
        owner = ThreadSensitiveContext()  # type: ignore[no-untyped-call]
        # Django finds it there and makes none of its own, at whose end it would wait.
        SyncToAsync.thread_sensitive_context.set(owner)
        try:
            await self._application(scope, receive, send)
        finally:
            # The thread ends with the last reference to its executor.
            SyncToAsync.context_to_thread_executor.pop(owner, None)
