"""WireGuard of an interceptor: the lease socket and the static listener.

One process of a config directory serves it: the one that holds the lock `run/lease.lock`. The
others wait for the lock, so that one of several workers takes over when the first one dies.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from interceptor.forward.port_setting import FORWARD_SETTING
from interceptor.forward.server import (
    LOOPBACK,
    STATIC_KEY,
    ForwardServer,
    start_forward_server,
)
from interceptor.stock_addons import Proxyserver
from interceptor.wireguard.client_config import CLIENT_FILE
from interceptor.wireguard.lease import RunBook
from interceptor.wireguard.lease_client import RUN_DIR
from interceptor.wireguard.lease_server import LeaseServer
from interceptor.wireguard.server import WireGuardServer, stop_all
from interceptor.wireguard.static import start_static_server
from providers.base.errors import ConfigError
from providers.base.file_lock import FileLock

logger = logging.getLogger(__name__)

LOCK_NAME = "lease.lock"


@dataclass(frozen=True, slots=True)
class WireGuardSettings:
    """Settings of the service.

    `proxy_host` is the address at which this machine reaches the reverse listener; `static_port`
    None means that there is no static listener, 0 any free port.
    """

    directory: Path
    proxy_host: str
    proxy_port: int
    static_port: int | None = None
    forward_host: str = LOOPBACK
    forward_port: int | None = None
    """Address of the forward proxy for clients with a token; None: there is none."""
    max_leases: int = 64
    request_timeout_s: float = 5.0
    """Limit of a launcher's request for a lease."""
    retry_s: float = 2.0
    """Pause between two attempts to become the process that serves the config directory."""


class WireGuardService:
    """Service that starts and stops with the proxy."""

    def __init__(
        self,
        settings: WireGuardSettings,
        book: RunBook,
        is_provider: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._settings = settings
        self._run_dir = settings.directory / RUN_DIR
        self._leases = LeaseServer(
            self._run_dir,
            book,
            proxy_host=settings.proxy_host,
            proxy_port=settings.proxy_port,
            max_leases=settings.max_leases,
            request_timeout_s=settings.request_timeout_s,
            is_provider=is_provider,
        )
        self._is_provider = is_provider
        self._static: WireGuardServer | None = None
        self._forward: ForwardServer | None = None
        self._lock = FileLock(self._run_dir / LOCK_NAME)
        self._waiting: asyncio.Task[None] | None = None

    @property
    def forward_port(self) -> int:
        """The port of the forward proxy for clients with a token, 0 without one."""
        return self._forward.port if self._forward else 0

    @property
    def is_serving(self) -> bool:
        """True when this process is the one that serves the config directory."""
        return self._lock.is_held

    async def start(self, manager: Proxyserver) -> None:
        """Serve, or wait for another process to leave.

        Raises:
            ConfigError: the run directory or the static port cannot be used.
        """
        try:
            self._run_dir.mkdir(mode=0o700, exist_ok=True)
            self._run_dir.chmod(0o700)
            if self._lock.try_acquire():
                await self._serve(manager)
                return
        except OSError as exc:
            raise ConfigError(
                f"cannot serve captured commands in {self._run_dir}: {exc.strerror or exc}"
            ) from None
        self._waiting = asyncio.get_running_loop().create_task(
            self._wait(manager), name="lease lock"
        )

    def refuse(self) -> None:
        """Grant no more leases; those that were granted go on."""
        if self._waiting:
            self._waiting.cancel()
        self._leases.refuse()

    async def stop(self) -> None:
        """End all leases and stop listening."""
        self.refuse()
        await self._leases.stop()
        if self._static:
            (self._settings.directory / CLIENT_FILE).unlink(missing_ok=True)
            await stop_all([self._static])
        if self._forward:
            await self._forward.stop()
        self._lock.release()

    async def _serve(self, manager: Proxyserver) -> None:
        # Left by a process that was killed while it started a server.
        for left in self._run_dir.glob("wg-*.conf"):
            left.unlink(missing_ok=True)
        await self._leases.start(manager)
        if self._settings.static_port is not None:
            self._static = await start_static_server(
                manager, self._settings.directory, self._settings.static_port
            )
        if self._settings.forward_port is not None:
            self._forward = await self._start_forward(manager, self._settings.forward_port)

    async def _start_forward(self, manager: Proxyserver, port: int) -> ForwardServer:
        """Start the forward proxy for clients with a token.

        Raises:
            ConfigError: it cannot listen.
        """

        def reads(names: Sequence[str]) -> bool:
            return any(map(self._is_provider, names))

        host = self._settings.forward_host
        try:
            server = await start_forward_server(
                manager, reads, host=host, port=port, key=STATIC_KEY
            )
        except OSError as exc:
            raise ConfigError(
                f"cannot listen on {host}:{port} for the forward proxy: {exc}; set"
                f" {FORWARD_SETTING}"
            ) from None
        logger.info("the forward proxy listens on %s:%d", host, server.port)
        return server

    async def _wait(self, manager: Proxyserver) -> None:
        """Serve once the process that holds the lock has left."""
        # It does not report that, so the lock is tried again and again.
        try:
            await self._lock.acquire_async(poll_interval_s=self._settings.retry_s)
            await self._serve(manager)
        except (OSError, ConfigError) as exc:
            logger.error("cannot serve captured commands: %s", exc)
