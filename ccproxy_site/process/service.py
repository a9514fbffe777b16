"""Parts of a process that are started and stopped: the protocol, and the list that runs them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from providers.base.errors import CcproxyError

logger = logging.getLogger(__name__)


class Service(Protocol):
    """A part of the process that lives from `start` to `stop`.

    A `start` that raises leaves nothing behind: `stop` is not called for it.
    """

    name: str
    """For the log, e.g. "the proxy"."""
    stop_limit_s: float
    """The process goes on stopping the other services after this time."""

    async def start(self) -> None:
        """Begin; return once the service does its work.

        Raises:
            ConfigError: one sentence for the user.
        """

    async def stop(self) -> None:
        """Finish what is under way, then end."""


class ServiceList:
    """Starts services in their order and stops them backwards.

    A service may rely on those before it, from its start to its stop.
    """

    def __init__(self, services: Sequence[Service]) -> None:
        self._services = services
        self._started: list[Service] = []

    async def start(self) -> None:
        """Start every service; when one fails, stop those that run already.

        Raises:
            Exception: what the failed service raised.
        """
        for service in self._services:
            try:
                await service.start()
            except BaseException as exc:
                _log_failed_start(service, exc)
                await self.stop()
                raise
            self._started.append(service)

    async def stop(self) -> None:
        """Stop what runs, the last one first; a second call does nothing more."""
        while self._started:
            await _stop(self._started.pop())


async def _stop(service: Service) -> None:
    """Stop one service; whatever happens, the caller can go on with the next one."""
    try:
        async with asyncio.timeout(service.stop_limit_s):
            await service.stop()
    except TimeoutError:
        logger.error("%s did not stop within %g s", service.name, service.stop_limit_s)
    except Exception:
        logger.exception("%s did not stop", service.name)


def _log_failed_start(service: Service, failure: BaseException) -> None:
    # A refusal is a sentence for the user; anything else is a defect, and needs its traceback.
    is_refusal = isinstance(failure, CcproxyError)
    logger.error(
        "%s did not start: %s", service.name, failure, exc_info=None if is_refusal else failure
    )
