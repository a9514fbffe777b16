"""A proxy process: the embedded mitmproxy between its listeners and its ring. No Django.

The recorder hands it the configuration and answers what only the database knows. While the recorder
is away, the proxy goes on with what it has, and its records wait in the ring.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from socket import socket
from typing import Any

from ccproxy_site.mains.child_main import follow
from ccproxy_site.mains.recorder_link import RecorderLink
from ccproxy_site.process.logging import log_as_set
from ccproxy_site.process.proxy_options import mitmproxy_options, stream_over_bytes
from ccproxy_site.process.recording_log import RecordingLog
from ccproxy_site.supervise.control import Control, Message
from flows.handover.ring import Ring, RingWriter
from flows.handover.sink import RingSink
from interceptor.access.caller_rules import guard_rules
from interceptor.addons.mcp.forward_mcp import McpAddress
from interceptor.config.files.server import ServerSettings
from interceptor.config.snapshot.build import build_snapshot
from interceptor.config.snapshot.schema import Snapshot
from interceptor.config.snapshot.store import ConfigStore
from interceptor.exchange.recording_state import RecordingState
from interceptor.operate.keylog import log_tls_secrets
from interceptor.operate.open_files import raise_open_files_limit
from interceptor.operate.stock import stock_from
from interceptor.proxy import Proxy
from interceptor.proxy_settings import ProxySettings
from interceptor.recorder.remote_grants import RemoteGrants
from interceptor.recorder.remote_logins import RemoteLogins
from interceptor.recorder.remote_notes import RemoteNotes
from interceptor.recorder.remote_reasoning import RemoteReasoning
from interceptor.recorder.remote_threads import RemoteThreads
from interceptor.recorder.remote_uploads import RemoteUploads
from interceptor.transform.capacity_policy import policy_of
from interceptor.wireguard.overrides import parse_overrides
from interceptor.wireguard.service import WireGuardSettings
from providers.auth.refresh_settings import limits_of, proxies_of
from providers.auth.registry import SECRETS
from providers.auth.resolve import CredentialResolver
from providers.base.errors import CcproxyError
from providers.base.http_client import load_httpx
from providers.base.keyring import keyring_at
from providers.base.loopback import reachable_host
from providers.base.version import product_version

logger = logging.getLogger("ccproxy")

FACTS_EVERY_S = 1.0
HURRY_EVERY_S = 0.25


class ProxyProcess:
    """One proxy, from the supervisor's first word to its last.

    Args:
        checked: settings and paths, which the recorder has checked.
        control: the supervisor's end.
        ring: descriptor of the shared memory for its records.
        listeners: sockets to accept from.

    Raises:
        ConfigError: the log cannot be written.
    """

    def __init__(
        self, checked: dict[str, Any], control: Control, ring: int, listeners: Sequence[socket]
    ) -> None:
        self._checked = checked
        self._settings = ServerSettings.model_validate_json(checked["settings"])
        self._directory = Path(checked["directory"])
        self._control = control
        self._listeners = listeners
        self._ring = Ring.attach(ring)
        log_as_set(self._settings, self._directory)
        if self._settings.inspector.keylog:
            log_tls_secrets(self._directory)
        raise_open_files_limit()
        # What the recorder must cut out of records, from the first secret on.
        SECRETS.tell(self._ring.secrets.add)

    async def run(self) -> None:
        """Serve until the supervisor says stop, or is gone.

        Raises:
            ConfigError: the proxy does not start.
        """
        self._stopping = asyncio.Event()
        self._store = ConfigStore(Snapshot())
        self._proxy: Proxy | None = None
        self._refused: dict[str, Any] = {}
        self._hurried_at = 0.0
        self._recording = RecordingState(tells_clients=self._settings.flows.not_recorded_header)
        self._is_active = asyncio.Event()
        self._link = RecorderLink(
            self._configure,
            self._watch,
            self._heard_of_recording,
            self._heard_of_notes,
            self._heard_of_waiting,
        )
        self._notes = RemoteNotes(self._link.questions)
        self._writer = RingWriter(self._ring, self._link.ring_bell)
        self._recording.positions = lambda: self._writer.positions
        self._recording.hurry = self._hurry_record
        self._sink = RingSink(self._writer, self._body_so_far, self._is_active.set)
        follow(self._control, self._heard)
        resolver = self._make_resolver()
        self._resolver = resolver
        # Made while the recorder prepares the configuration, which no request may miss.
        proxy = self._make_proxy(resolver)
        self._proxy = proxy
        if not await self._is_configured():
            await self._link.close()
            return
        await proxy.start()
        self._control.say(ready=True)
        facts = asyncio.create_task(self._tell_facts())
        # The start did not wait for it. On the loop it would stop streams when it is needed.
        await asyncio.to_thread(load_httpx)
        await self._stopping.wait()
        await proxy.stop(self._settings.shutdown_timeout_seconds)
        # A renewal that is cut off loses the login.
        await resolver.logins.drain(resolver.logins.limits.timeout_s + 5.0)
        facts.cancel()
        await self._link.close()

    async def _is_configured(self) -> bool:
        """Wait for a configuration; return False when the supervisor says stop before that."""
        waiting = [
            asyncio.create_task(self._link.configured()),
            asyncio.create_task(self._stopping.wait()),
        ]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return not self._stopping.is_set()

    def _heard(self, message: Message | None) -> None:
        if message is None or "stop" in message.words:
            self._stopping.set()
        elif "recorder" in message.words:
            end, bell = message.descriptors
            self._link.connect(socket(fileno=end), bell)
            self._is_active.set()

    # --- what the recorder says

    def _configure(self, rows: bytes) -> None:
        """Run a new configuration; one that cannot be built leaves the old one running."""
        try:
            found = pickle.loads(rows)  # noqa: S301  # from the recorder, over our own socket pair
            snapshot = build_snapshot(
                found,
                command_timeout_s=self._settings.auth.command_timeout_seconds,
                shaping_enabled=self._settings.shaping.enabled,
            )
        except CcproxyError as exc:
            self._refused = {"refused_revision": found.revision, "refusal": str(exc)}
            logger.error("revision %s refused: %s", found.revision, exc)
            self._link.say(facts=self._facts())
            return
        self._refused = {}
        if snapshot.revision != self._store.current.revision:
            logger.info("running revision %s", snapshot.revision)
        self._store.replace(snapshot)
        self._resolver.command_timeout_s = snapshot.command_timeout_s
        self._link.say(facts=self._facts())

    def _watch(self, flow_ids: frozenset[str]) -> None:
        self._sink.watch(flow_ids)

    def _heard_of_recording(self, problem: str) -> None:
        self._recording.problem = problem
        self._is_active.set()

    def _heard_of_waiting(self, flows: Mapping[str, int]) -> None:
        self._recording.waiting = flows

    def _hurry_record(self) -> None:
        # Whoever reaches the port may ask for it.
        if time.monotonic() - self._hurried_at >= HURRY_EVERY_S:
            self._hurried_at = time.monotonic()
            self._link.say(hurry=True)

    def _heard_of_notes(self, sessions: frozenset[str]) -> None:
        self._notes.hear(sessions)

    async def _tell_facts(self) -> None:
        """Tell the recorder what the heartbeat says of this proxy, whenever it changes.

        Memory of the ring that is not in use goes back to the system on the way. It sleeps while
        nothing is recorded: each look costs as much as a third of a small request.
        """
        told: dict[str, Any] = {}
        connection = 0
        log = RecordingLog()
        while True:
            facts = self._facts()
            # The recorder logs what it knows itself.
            log.tell("" if self._link.is_connected else self._recording.problem)
            if facts != told or connection != self._link.connections:
                self._link.say(facts=facts)
                told, connection = facts, self._link.connections
            is_waiting = self._writer.give_back() or bool(self._recording.problem)
            if not (is_waiting or facts["active_flows"] or self._is_active.is_set()):
                await self._is_active.wait()
            self._is_active.clear()
            await asyncio.sleep(FACTS_EVERY_S)

    def _facts(self) -> dict[str, Any]:
        return {
            "revision": self._store.current.revision,
            "active_flows": self._proxy.active_flows if self._proxy else 0,
            "cooldowns": self._proxy.cooldowns.as_facts(time.time()) if self._proxy else [],
            "bodies_dropped": self._sink.bodies_dropped,
            "records_dropped": self._sink.records_dropped,
            **self._refused,
        }

    def _body_so_far(self, flow_id: str) -> bytes:
        return self._proxy.body_so_far(flow_id) if self._proxy else b""

    # --- the proxy

    def _make_resolver(self) -> CredentialResolver:
        key_file = Path(self._checked["key_file"])
        directory = self._checked["lock_directory"]
        lock_directory = Path(directory) if directory else None
        return CredentialResolver(
            open_keyring=lambda: keyring_at(key_file),
            secrets=SECRETS,
            command_timeout_s=self._settings.auth.command_timeout_seconds,
            shared=RemoteLogins(self._link.questions, lock_directory),
            limits=limits_of(self._settings),
        )

    def _make_proxy(self, resolver: CredentialResolver) -> Proxy:
        settings = self._settings
        inspector = settings.inspector
        return Proxy(
            ProxySettings(
                store=self._store,
                sink=self._sink,
                resolver=resolver,
                host=settings.host,
                port=settings.port,
                ca_dir=settings.cert_dir(self._directory),
                version=product_version(),
                require_token=bool(self._checked["require_token"]),
                own_credentials=settings.own_credentials,
                rules=guard_rules(settings.host, settings.allowed_hosts, settings.allowed_origins),
                idle_timeout_s=settings.stream_idle_timeout_seconds,
                own_call_timeout_s=settings.provider_timeout,
                stream_over_bytes=stream_over_bytes(settings),
                grants=RemoteGrants(self._link.questions),
                threads=RemoteThreads(self._link.questions),
                uploads=RemoteUploads(self._link.questions),
                reasoning=RemoteReasoning(self._link.questions),
                stock=stock_from(os.environ),
                options=mitmproxy_options(settings),
                listeners=self._listeners,
                wireguard=WireGuardSettings(
                    directory=self._directory,
                    proxy_host=reachable_host(settings.host),
                    proxy_port=settings.port,
                    static_port=inspector.wireguard_port,
                    forward_host=settings.host,
                    forward_port=inspector.forward_port,
                ),
                overrides=parse_overrides(inspector.dns_overrides, inspector.upstream_overrides),
                proxies=proxies_of(self._settings),
                recording=self._recording,
                capacity=policy_of(settings),
                sends_trace=settings.otel.enabled and settings.otel.propagate,
                mcp=mcp_address(settings),
                notes=self._notes,
                notify_secret=settings.mcp.notify_secret or "",
            )
        )


def mcp_address(settings: ServerSettings) -> McpAddress | None:
    """Return where the MCP server listens; its console may run on another machine."""
    server = settings.mcp.http
    return McpAddress(reachable_host(server.host), server.port) if server.enabled else None
