"""Calls of tools: in a thread with a database connection, for callers with the rights."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final

from django.db import DatabaseError, OperationalError, close_old_connections
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_context

from ccproxy_site.mcp.mcp_caller import current_caller
from ccproxy_site.mcp.progress import REPORT, Report
from providers.base.errors import CcproxyError

logger = logging.getLogger(__name__)

THREADS: Final = 4
"""Tools that run at once; further ones wait."""
REPORT_EVERY_S: Final = 0.5
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="mcp")


def in_thread[**P, R](
    function: Callable[P, R], rights: tuple[str, ...]
) -> Callable[P, Coroutine[Any, Any, R]]:
    """Return a tool that checks its caller, then runs in a thread, off the event loop."""

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        context = copy_context()
        context.run(REPORT.set, _reporter(asyncio.get_running_loop()))
        work = functools.partial(context.run, _call, function, rights, args, kwargs)
        result: R = await asyncio.get_running_loop().run_in_executor(_pool, work)
        return result

    return call


def _reporter(loop: asyncio.AbstractEventLoop) -> Report:
    """Return a function for the tool's thread that reports to the client of this request.

    FastMCP sends progress to clients that asked for it, and drops it for others.
    """
    client = get_context()
    last_at = 0.0

    def report(done: float, total: float, sentence: str) -> None:
        nonlocal last_at
        now = time.monotonic()
        if done < total and now - last_at < REPORT_EVERY_S:
            return
        last_at = now
        sending = client.report_progress(done, total, sentence)
        asyncio.run_coroutine_threadsafe(sending, loop)

    return report


def _call(
    function: Callable[..., Any],
    rights: tuple[str, ...],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    close_old_connections()
    try:
        current_caller().demand(*rights)
        return function(*args, **kwargs)
    except CcproxyError as exc:
        raise ToolError(str(exc)) from None
    except OperationalError:
        raise ToolError("The database is busy. Try again in a moment.") from None
    except DatabaseError:
        # The message of the database may quote values.
        logger.exception("a tool failed")
        raise ToolError("The database refused this. The log says why.") from None
    except Exception:
        logger.exception("a tool failed")
        raise ToolError("The tool failed. The log says why.") from None
    finally:
        close_old_connections()
