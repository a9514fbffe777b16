"""Puts one interceptor process together: configuration, record, live view, proxy, console."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from typing import Any

from django.conf import settings as django_settings

from ccproxy_site.version import product_version
from flows.live.bus import LiveBus
from flows.live.catch_up import answer_pages
from flows.record import FanOut
from flows.redaction.redactor import Redactor
from flows.services import mark_interrupted
from flows.writer.retention import RetentionPolicy
from flows.writer.thread import FlowWriter
from interceptor.access.caller_rules import guard_rules
from interceptor.config.files.server import ServerSettings, reachable_host
from interceptor.config.snapshot.load import load_snapshot
from interceptor.config.snapshot.schema import Snapshot
from interceptor.config.snapshot.store import ConfigStore
from interceptor.config.snapshot.watch import ConfigWatcher
from interceptor.instances.endpoints import Endpoints
from interceptor.instances.processes import own_instance, running_instances
from interceptor.operate.keylog import log_tls_secrets
from interceptor.operate.open_files import raise_open_files_limit
from interceptor.proxy import Proxy
from interceptor.resend.grant_store import DatabaseGrants
from interceptor.wireguard.overrides import parse_overrides
from interceptor.wireguard.service import WireGuardSettings
from providers.auth.proactive import ProactiveRenewal
from providers.auth.registry import SECRETS
from providers.auth.resolve import CredentialResolver
from providers.base.errors import ConfigError
from providers.credentials.shared_state import DatabaseLogins
from providers.fields import keyring

logger = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.0005
"""How long a busy thread (the record's, a page's) may keep the interpreter from the proxy's loop.
Python's 5 ms add up, because the loop hands it over at every system call: the p99 of an event's
delay while pages are listed, +28 → +4 ms.
"""
WRITER_DRAIN_TIMEOUT_S = 15.0
RENEWAL_DRAIN_TIMEOUT_S = 20.0


class Runtime:
    """Everything that lives as long as the process.

    Steps: load the configuration → start the writer → start the proxy → watch the configuration;
    backwards on stop.
    """

    def __init__(
        self,
        settings: ServerSettings,
        directory: Path,
        endpoints: Endpoints,
        *,
        require_token: bool,
        listeners: Sequence[socket] = (),
    ) -> None:
        self.settings = settings
        self.directory = directory
        self.endpoints = endpoints
        self.failure: ConfigError | None = None
        self._require_token = require_token
        self._listeners = listeners
        inspector = settings.inspector
        self._overrides = parse_overrides(inspector.dns_overrides, inspector.upstream_overrides)
        self._stopping = asyncio.Event()
        self._store = ConfigStore(Snapshot())
        redactor = Redactor(SECRETS)
        retention = settings.flows.retention
        self._writer = FlowWriter(
            redactor=redactor,
            instance=own_instance(),
            retention=RetentionPolicy(
                max_age_days=retention.max_age_days,
                max_flows=retention.max_flows,
                max_bytes=retention.max_bytes,
            ),
        )
        self._live = LiveBus(redactor)
        self._proxy: Proxy | None = None
        self._resolver = CredentialResolver(
            open_keyring=keyring,
            secrets=SECRETS,
            command_timeout_s=settings.auth.command_timeout_seconds,
            shared=DatabaseLogins(),
        )
        self._renewal = ProactiveRenewal(
            self._resolver.logins,
            lambda: [provider.auth for provider in self._store.current.providers.values()],
        )

    def load(self) -> Snapshot:
        """The newest configuration with the process's own settings in it."""
        return replace(
            load_snapshot(), command_timeout_s=self.settings.auth.command_timeout_seconds
        )

    def prepare(self) -> None:
        """Everything that blocks and may refuse, before anything listens.

        Raises:
            ConfigError: one sentence.
        """
        keyring()
        if self.settings.inspector.keylog:
            log_tls_secrets(self.directory)
        raise_open_files_limit()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._store.replace(self.load())
        if not self._listeners:  # a worker's parent does it
            mark_interrupted(datetime.now(UTC), running_instances())

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Run until a signal or `request_stop`; `on_ready` is called once requests are accepted."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.request_stop)
        self._writer.start()
        watcher: ConfigWatcher | None = None
        pages = asyncio.create_task(answer_pages(self._live), name="pages of other processes")
        try:
            self._proxy = proxy = self._make_proxy()
            await proxy.start()
            watcher = self._make_watcher(proxy)
            watcher.start()
            if not django_settings.REDIS_URL:  # otherwise Celery beat does it, see providers.tasks
                self._renewal.start()
            await asyncio.to_thread(on_ready)  # it reads the database
            gc.collect()
            # looking through what lives for ever stopped streams for 0.15 s, now and then
            gc.freeze()
            await self._stopping.wait()
            await proxy.stop(self.settings.shutdown_timeout_seconds)
        except ConfigError as exc:
            self.failure = exc
        finally:
            pages.cancel()
            await self._close(watcher)

    def request_stop(self) -> None:
        """Begin to stop; a second request does nothing more."""
        self._stopping.set()

    def _make_proxy(self) -> Proxy:
        return Proxy(
            store=self._store,
            sink=FanOut(self._writer, self._live),
            resolver=self._resolver,
            host=self.settings.host,
            port=self.settings.port,
            ca_dir=self.settings.cert_dir(self.directory),
            version=product_version(),
            require_token=self._require_token,
            rules=guard_rules(
                self.settings.host, self.settings.allowed_hosts, self.settings.allowed_origins
            ),
            idle_timeout_s=self.settings.stream_idle_timeout_seconds,
            grants=DatabaseGrants(),
            options=self._mitmproxy_options(),
            listeners=self._listeners,
            wireguard=self._wireguard_settings(),
            overrides=self._overrides,
        )

    def _wireguard_settings(self) -> WireGuardSettings:
        return WireGuardSettings(
            directory=self.directory,
            proxy_host=reachable_host(self.settings.host),
            proxy_port=self.settings.port,
            static_port=self.settings.inspector.wireguard_port,
        )

    def _mitmproxy_options(self) -> dict[str, object]:
        chosen = self.settings.inspector.mitmproxy
        options: dict[str, object] = {}
        names = (
            "body_size_limit",
            "ssl_insecure",
            "ignore_hosts",
            "allow_hosts",
            "ssl_verify_upstream_trusted_ca",
        )
        if chosen.ssl_insecure:
            logger.warning(
                "ssl_insecure is on: certificates are verified only where a credential is sent"
            )
        for name in names:
            if value := getattr(chosen, name, None):
                options[name] = value
        return options

    def _make_watcher(self, proxy: Proxy) -> ConfigWatcher:
        loop = asyncio.get_running_loop()
        return ConfigWatcher(
            self._store,
            endpoints=self.endpoints.as_dict(),
            version=product_version(),
            facts=self._facts,
            on_swap=lambda snapshot: _call_soon(loop, proxy, snapshot),
            load=self.load,
        )

    def _facts(self) -> dict[str, Any]:
        stats = self._writer.stats()
        return {
            "queue_depth": stats.queue_depth,
            "bodies_dropped": stats.bodies_dropped,
            "records_dropped": stats.records_dropped,
            "writer_error": stats.last_error or "",
            "active_flows": self._proxy.active_flows if self._proxy else 0,
        }

    async def _close(self, watcher: ConfigWatcher | None) -> None:
        await self._renewal.stop()
        await self._resolver.logins.drain(RENEWAL_DRAIN_TIMEOUT_S)
        if watcher:
            await asyncio.to_thread(watcher.stop)
        await self._live.close()
        await asyncio.to_thread(self._writer.close, WRITER_DRAIN_TIMEOUT_S)


def _call_soon(loop: asyncio.AbstractEventLoop, proxy: Proxy, snapshot: Snapshot) -> None:
    """Tell the proxy of a new snapshot on its own loop."""
    loop.call_soon_threadsafe(proxy.configured, snapshot)
