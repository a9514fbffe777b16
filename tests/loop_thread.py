"""The end of an event loop that runs on a thread of its own."""

from __future__ import annotations

import asyncio
import threading

from tests.patience import PATIENCE_S


def end_loop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """End what runs on the loop, such as handlers of connections that a test left open.

    The collector would find them unfinished after the loop is closed, and say so in another test.
    """
    asyncio.run_coroutine_threadsafe(_end_tasks(), loop).result(PATIENCE_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE_S)
    loop.close()


async def _end_tasks() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
