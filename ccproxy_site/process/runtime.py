"""One interceptor process: its services, in the order in which they start."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from typing import Any

from django.conf import settings as django_settings

from ccproxy_site.process.proxy_options import (
    mitmproxy_options,
    retention_policy,
    stream_over_bytes,
)
from ccproxy_site.process.service import Service, ServiceList
from ccproxy_site.process.services import (
    FlowLogService,
    LiveViewService,
    LoginsService,
    ProxyService,
    RenewalService,
    WatcherService,
    WriterService,
)
from flows.live.bus import LiveBus
from flows.record import FanOut, Sink
from flows.redaction.redactor import Redactor
from flows.services import mark_interrupted
from flows.writer.thread import FlowWriter
from interceptor.access.caller_rules import guard_rules
from interceptor.config.files.server import ServerSettings, reachable_host
from interceptor.config.snapshot.load import load_snapshot
from interceptor.config.snapshot.schema import Snapshot
from interceptor.config.snapshot.store import ConfigStore
from interceptor.config.snapshot.watch import ConfigWatcher
from interceptor.instances.endpoints import Endpoints
from interceptor.instances.processes import own_instance, running_instances
from interceptor.mitm.patches import stock_from
from interceptor.operate.flow_log import FlowLog
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
from providers.base.version import product_version
from providers.credentials.shared_state import DatabaseLogins
from providers.credentials.stored_logins import refresh_limits, upstream_proxies
from providers.fields import keyring

logger = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.0005
"""How long a busy thread (the record's, a page's) may keep the interpreter from the proxy's loop.
Python's 5 ms add up, because the loop hands it over at every system call: the p99 of an event's
delay while pages are listed, +28 → +4 ms.
"""


class Runtime:
    """One interceptor process, from its start to a request to stop.

    Args:
        settings: the server settings.
        directory: the config directory.
        endpoints: the addresses that the heartbeat row names.
        require_token: clients must show a client token.
        listeners: sockets to accept from; without any, the proxy opens its own.
        console: the console's service, when this process serves it.
    """

    def __init__(
        self,
        settings: ServerSettings,
        directory: Path,
        endpoints: Endpoints,
        *,
        require_token: bool,
        listeners: Sequence[socket] = (),
        console: Service | None = None,
    ) -> None:
        self.settings = settings
        self.directory = directory
        self.endpoints = endpoints
        self.failure: ConfigError | None = None
        self._require_token = require_token
        self._listeners = listeners
        self._console = console
        inspector = settings.inspector
        self._overrides = parse_overrides(inspector.dns_overrides, inspector.upstream_overrides)
        self._stopping = asyncio.Event()
        self._store = ConfigStore(Snapshot())
        self._redactor = Redactor(SECRETS)
        self._writer = FlowWriter(
            redactor=self._redactor,
            instance=own_instance(),
            retention=retention_policy(settings),
        )
        self._live = LiveBus(self._redactor)
        detail = inspector.mitmproxy.flow_detail
        self._flow_log = FlowLog(detail, self._redactor) if detail else None
        self._resolver = CredentialResolver(
            open_keyring=keyring,
            secrets=SECRETS,
            command_timeout_s=settings.auth.command_timeout_seconds,
            shared=DatabaseLogins(),
            limits=refresh_limits(),
        )
        self._proxy = ProxyService(self._make_proxy, settings.shutdown_timeout_seconds)

    def load(self) -> Snapshot:
        """Return the newest configuration, with the process's own settings in it."""
        return replace(
            load_snapshot(), command_timeout_s=self.settings.auth.command_timeout_seconds
        )

    def prepare(self) -> None:
        """Run the blocking start-up checks, before any socket is opened.

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
        """Run until a signal or `request_stop`.

        `on_ready` is called on a thread, once requests are accepted.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.request_stop)
        services = ServiceList(self._services())
        try:
            await services.start()
            await asyncio.to_thread(on_ready)  # it reads the database
            gc.collect()
            # Looking through what lives for ever stopped streams for 0.15 s, now and then.
            gc.freeze()
            await self._stopping.wait()
        except ConfigError as exc:
            self.failure = exc
        finally:
            await services.stop()

    def request_stop(self) -> None:
        """Begin to stop; a second request does nothing more."""
        self._stopping.set()

    def _services(self) -> list[Service]:
        """Return what lives as long as the process: started in this order, stopped backwards.

        The console stops last, so that a page can follow streams to their end. The watcher
        outlives the proxy: without a heartbeat, another process would take running flows for
        orphaned.
        """
        services: list[Service] = [
            WriterService(self._writer),
            LiveViewService(self._live),
            LoginsService(self._resolver.logins),
            WatcherService(self._make_watcher()),
            self._proxy,
        ]
        if self._flow_log is not None:
            services.insert(0, FlowLogService(self._flow_log))
        if self._console is not None:
            services.insert(0, self._console)
        if not django_settings.REDIS_URL:  # with Redis, Celery beat renews: see providers.tasks
            services.append(RenewalService(self._make_renewal()))
        return services

    def _make_proxy(self) -> Proxy:
        settings = self.settings
        return Proxy(
            store=self._store,
            sink=self._sink(),
            resolver=self._resolver,
            host=settings.host,
            port=settings.port,
            ca_dir=settings.cert_dir(self.directory),
            version=product_version(),
            require_token=self._require_token,
            rules=guard_rules(settings.host, settings.allowed_hosts, settings.allowed_origins),
            idle_timeout_s=settings.stream_idle_timeout_seconds,
            own_call_timeout_s=settings.provider_timeout,
            stream_over_bytes=stream_over_bytes(settings),
            grants=DatabaseGrants(),
            stock=stock_from(os.environ),
            options=mitmproxy_options(settings),
            listeners=self._listeners,
            wireguard=self._wireguard_settings(),
            overrides=self._overrides,
            proxies=upstream_proxies(),
        )

    def _sink(self) -> Sink:
        sinks: list[Sink] = [self._writer, self._live]
        if self._flow_log is not None:
            sinks.append(self._flow_log)
        return FanOut(*sinks)

    def _wireguard_settings(self) -> WireGuardSettings:
        return WireGuardSettings(
            directory=self.directory,
            proxy_host=reachable_host(self.settings.host),
            proxy_port=self.settings.port,
            static_port=self.settings.inspector.wireguard_port,
        )

    def _make_watcher(self) -> ConfigWatcher:
        loop = asyncio.get_running_loop()

        def tell_proxy(snapshot: Snapshot) -> None:
            if self._proxy.proxy is not None:
                loop.call_soon_threadsafe(self._proxy.proxy.configured, snapshot)

        return ConfigWatcher(
            self._store,
            endpoints=self.endpoints.as_dict(),
            version=product_version(),
            facts=self._facts,
            on_swap=tell_proxy,
            load=self.load,
        )

    def _make_renewal(self) -> ProactiveRenewal:
        return ProactiveRenewal(
            self._resolver.logins,
            lambda: [provider.auth for provider in self._store.current.providers.values()],
        )

    def _facts(self) -> dict[str, Any]:
        stats, proxy = self._writer.stats(), self._proxy.proxy
        return {
            "queue_depth": stats.queue_depth,
            "bodies_dropped": stats.bodies_dropped,
            "records_dropped": stats.records_dropped,
            "writer_error": stats.last_error or "",
            "active_flows": proxy.active_flows if proxy else 0,
        }
