"""Runs every request of the console in a context of its own.

Twisted reads the next request of a connection in the context of the code that asked for more,
which may be in the middle of another request. asgiref keeps in that context which thread serves it:
the next request would be given a thread that has ended ("CurrentThreadExecutor already quit").
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any


class FreshContext:
    """An ASGI application around another."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request; cancelling this call cancels it."""
        work = self._application(scope, receive, send)
        await asyncio.get_running_loop().create_task(work, context=Context())
