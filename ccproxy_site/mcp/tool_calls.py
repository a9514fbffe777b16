"""Calls of tools: in a thread with a database connection, for callers with the rights."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final

from django.db import DatabaseError, OperationalError, close_old_connections
from fastmcp.exceptions import ToolError

from ccproxy_site.mcp.mcp_caller import current_caller
from providers.base.errors import CcproxyError

logger = logging.getLogger(__name__)

THREADS: Final = 4
"""Tools that run at once; further ones wait."""
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="mcp")


def in_thread[**P, R](
    function: Callable[P, R], rights: tuple[str, ...]
) -> Callable[P, Coroutine[Any, Any, R]]:
    """Return a tool that checks its caller, then runs in a thread, off the event loop."""

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        context = copy_context()
        work = functools.partial(context.run, _call, function, rights, args, kwargs)
        result: R = await asyncio.get_running_loop().run_in_executor(_pool, work)
        return result

    return call


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
    finally:
        close_old_connections()
