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
