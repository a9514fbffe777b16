"""A request sees nothing of the context in which its bytes happened to be read."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async

from ccproxy_site.console.serving.fresh_context import FreshContext
from tests.patience import PATIENCE_S

LEFT_OVER: ContextVar[str] = ContextVar("left_over", default="nothing")


def test_it_works() -> None:
    seen: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(LEFT_OVER.get())
        LEFT_OVER.set("inside")
        await asyncio.sleep(0)
        await send(scope["type"])

    async def main() -> list[str]:
        sent: list[str] = []

        async def send(message: str) -> None:
            sent.append(message)

        LEFT_OVER.set("of another request")
        await FreshContext(application)({"type": "http"}, None, send)
        assert LEFT_OVER.get() == "of another request"
        return sent

    assert asyncio.run(main()) == ["http"]
    assert seen == ["nothing"]


def test_a_client_that_leaves_ends_it() -> None:
    ended: list[str] = []

    async def application(*_: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    async def main() -> None:
        task = asyncio.create_task(FreshContext(application)({}, None, None))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended == ["cancelled"]


def test_a_request_that_is_given_up_does_not_stop_the_loop() -> None:
    """A thread waits for the loop while Django ends the request, as when a client leaves."""
    began, over = asyncio.Event(), asyncio.Event()

    async def view() -> None:
        began.set()
        try:
            await asyncio.sleep(0.01)
        finally:
            over.set()

    async def application(*_: Any) -> None:
        async with ThreadSensitiveContext():  # type: ignore[no-untyped-call]
            task = asyncio.create_task(sync_to_async(async_to_sync(view))())
            await began.wait()
            task.cancel()

    async def main() -> None:
        await FreshContext(application)({}, None, None)
        await over.wait()

    # A thread of its own, because a loop that stands still could not end the test.
    runner = threading.Thread(target=asyncio.run, args=[main()], daemon=True)
    runner.start()
    runner.join(PATIENCE_S)
    assert not runner.is_alive(), "the loop stands still"
