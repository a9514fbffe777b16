"""The recorder: one process that holds the database for all proxies of this machine.

It writes what the proxies put into their rings, hands them the configuration, shares logins and
grants with them, beats their hearts in the database, and feeds the live view.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from channels.layers import channel_layers, get_channel_layer
from django.conf import settings as django_settings
from django.db import connection

from ccproxy_site.mains.addresses import endpoints_of
from ccproxy_site.mains.audience import Audience
from ccproxy_site.mains.child_main import follow
from ccproxy_site.mains.proxy_client import ProxyClient
from ccproxy_site.mains.recording_watch import RecordingWatch
from ccproxy_site.notices.setup import NoticeService, notice_thread
from ccproxy_site.process.banner import announce
from ccproxy_site.process.bridge import Bridge
from ccproxy_site.process.flow_lines import FlowLines
from ccproxy_site.process.live_bridge import ConsoleLayer, follow_console
from ccproxy_site.process.recording_log import RecordingLog
from ccproxy_site.process.service import Service, ServiceList
from ccproxy_site.process.services import (
    WRITER_DRAIN_TIMEOUT_S,
    FlowLogService,
    LinksService,
    LiveViewService,
    LoginsService,
    RenewalService,
    WatcherService,
    WriterService,
)
from ccproxy_site.supervise.control import Control, Message
from ccproxy_site.telemetry.recorder_telemetry import ExportService, RecorderTelemetry, tracing_conf
from flows.handover.ring import Ring
from flows.lineage.fresh_flows import FreshFlows
from flows.lineage.link_thread import LinkThread
from flows.live.audience import may_be_heard
from flows.live.bus import LiveBus
from flows.record import FanOut, Sink
from flows.redaction.redactor import Redactor
from flows.services import mark_interrupted
from flows.telemetry.finished_flow import FinishedFlow
from flows.telemetry.metrics.instruments import Point
from flows.writer.retention_policy import RetentionPolicy
from flows.writer.spool import Spool
from flows.writer.thread import FlowWriter
from interceptor.config.files.server import ServerSettings
from interceptor.config.snapshot.build import build_snapshot
from interceptor.config.snapshot.lasting_connection import LastingConnection
from interceptor.config.snapshot.load import read_rows
from interceptor.config.snapshot.schema import Snapshot
from interceptor.config.snapshot.store import ConfigStore
from interceptor.config.snapshot.watch import ConfigWatcher
from interceptor.instances.metric_points import proxy_points
from interceptor.instances.processes import instance_of, running_instances
from interceptor.kept_notes import DatabaseNotes, KeptNotes, NoteLimits
from interceptor.operate.flow_log import FlowLog
from interceptor.operate.freed_memory import give_back_freed_memory
from interceptor.operate.stock import Why
from interceptor.resend.grant_store import DatabaseGrants
from providers.auth.base import AuthConf
from providers.auth.proactive import ProactiveRenewal
from providers.auth.registry import SECRETS
from providers.base.version import product_version
from providers.credentials.shared_state import lock_directory
from providers.credentials.stored_logins import stored_logins
from providers.fields import keyring

logger = logging.getLogger("ccproxy")

SWITCH_INTERVAL_S = 0.0005
"""How long the writer's thread may keep the interpreter from this process's loop."""
RECORDING_EVERY_S = 0.5
RECORDING_AT_REST_S = 15.0
"""Pause between looks while no records come: only housekeeping may find the database away."""
PROXY_MARGIN_S = 20.0
"""What a proxy may take to end beyond its open streams' time."""


class Recorder:
    """One recorder, from its checks to the supervisor's word to stop.

    Args:
        settings: the server settings.
        directory: the config directory.
        control: the supervisor's end.
        require_token: clients must show a client token.
        console: a console runs beside it.
        stock: kinds of mitmproxy patches to leave out.
        flow_lines: write a line for each flow on standard error.
    """

    def __init__(
        self,
        settings: ServerSettings,
        directory: Path,
        control: Control,
        *,
        require_token: bool,
        console: bool,
        stock: frozenset[Why],
        flow_lines: bool,
    ) -> None:
        self._settings, self._directory, self._control = settings, directory, control
        self._require_token = require_token
        self._endpoints = endpoints_of(settings, directory, console=console, stock=stock)
        self._store = ConfigStore(Snapshot())
        self._rows = b""
        self._redactor = Redactor(SECRETS)
        self._telemetry = RecorderTelemetry(
            tracing_conf(settings), lambda: self._writer.stats(), self._proxy_points
        )
        self._flow_lines = FlowLines(sys.stderr if flow_lines else None)
        self._notices = notice_thread(
            settings,
            redact=self._redactor.text,
            problem=lambda: self._recording.problem,
            cooldowns=self._cooldowns,
        )
        fresh = FreshFlows()
        self._writer = FlowWriter(
            redactor=self._redactor,
            retention=retention_policy(settings),
            spool=Spool(directory / "spool"),
            on_finished=(
                self._flow_lines.finished,
                *self._telemetry.on_finished,
                *([self._notices.finished] if self._notices else []),
                self._note_ended,
            ),
            fresh=fresh,
            is_watched=lambda: may_be_heard(get_channel_layer()),
        )
        self._links = LinkThread(
            lambda: self._writer.is_behind or self._writer.is_refused,
            fresh,
            LastingConnection().open,
        )
        self._recording = RecordingWatch(self._writer.stats, self._fills)
        self._consoles: set[Bridge] = set()
        detail = settings.inspector.mitmproxy.flow_detail
        self._flow_log = FlowLog(detail, self._redactor) if detail else None
        self._live = LiveBus(self._redactor)
        self._layer = ConsoleLayer()
        self._stopping = asyncio.Event()
        self._has_records = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._grants = DatabaseGrants()
        kept = KeptNotes(note_limits(settings), self._redactor.text)
        self._notes = DatabaseNotes(kept, self._tell_notes)
        self._is_shared = connection.vendor != "sqlite"
        self._clients: dict[int, ProxyClient] = {}
        self._audience = Audience(
            self._clients, self._layer, self._live, lambda: self._writer.hurry(at_once=True)
        )
        self._tasks: set[asyncio.Task[Any]] = set()

    def tell_checked(self) -> None:
        """Let the others start, as far as they can before this process answers them."""
        self._control.say(checked=self._for_everyone())

    def prepare(self, *, is_first: bool) -> None:
        """Do what blocks, before anybody is served.

        Raises:
            ConfigError: one sentence.
        """
        keyring()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._store.replace(self._load())
        if is_first:
            mark_interrupted(datetime.now(UTC), running_instances())

    async def run(self) -> None:
        """Serve proxies and the console until the supervisor says stop, or is gone."""
        if not django_settings.REDIS_URL:
            channel_layers.set("default", self._layer)
        self._watcher = self._make_watcher()
        services = ServiceList(self._services())
        await services.start()
        # What was waiting before a restart.
        self._spawn(self._notes.look())
        follow(self._control, self._told)
        self._control.say(ready=True)
        watching = asyncio.create_task(self._audience.follow())
        giving_back = asyncio.create_task(give_back_freed_memory())
        recording = asyncio.create_task(self._follow_recording())
        await self._stopping.wait()
        watching.cancel()
        giving_back.cancel()
        await self._drain()
        recording.cancel()
        await services.stop()

    # --- the supervisor

    def _told(self, message: Message | None) -> None:
        if message is None or "stop" in message.words:
            self._stopping.set()
        elif "client" in message.words:
            self._welcome(message.words["client"], message.descriptors)
        elif "announce" in message.words and not self._stopping.is_set():
            self._spawn(asyncio.to_thread(announce, self._settings, self._endpoints, None))
        elif "note" in message.words:
            logger.error("%s", message.words["note"])

    def _welcome(self, client: dict[str, Any], descriptors: list[int]) -> None:
        if client["kind"] == "console":
            self._spawn(self._talk_with_console(socket.socket(fileno=descriptors[0])))
            return
        ring, *connection = descriptors
        number = int(client["number"])
        joined = ProxyClient(
            Ring.attach(ring),
            instance_of(int(client["pid"])),
            self._writer,
            self._views(),
            self._grants,
            self._notes,
            on_began=self._audience.flow_began,
            on_read=self._has_records.set,
            on_facts=self._watcher.note,
            on_drained=lambda: self._drained(number),
        )
        self._clients[number] = joined
        if client["open"]:
            end, bell = connection
            self._spawn(joined.talk(end, bell, lambda: self._rows, lambda: self._recording.problem))
        else:
            joined.read_the_rest()

    def _drained(self, number: int) -> None:
        self._control.say(drained=number)
        if gone := self._clients.pop(number, None):
            gone.close()
        if not self._clients:
            self._is_empty.set()

    async def _talk_with_console(self, end: socket.socket) -> None:
        bridge = await Bridge.open(end)
        self._consoles.add(bridge)
        bridge.say(recording=self._recording.problem)
        try:
            await follow_console(bridge, self._layer)
        finally:
            self._consoles.discard(bridge)
            await bridge.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _for_everyone(self) -> dict[str, Any]:
        """Return what the supervisor hands to every process with its descriptors."""
        return {
            "host": self._settings.host,
            "port": self._settings.port,
            "drain_s": self._settings.shutdown_timeout_seconds,
            "settings": self._settings.model_dump_json(),
            "directory": str(self._directory),
            "key_file": str(django_settings.CCPROXY_KEY_FILE),
            "lock_directory": str(lock_directory() or ""),
            "require_token": self._require_token,
            "endpoints": self._endpoints.as_dict(),
        }

    # --- what it serves

    def _services(self) -> list[Service]:
        """Return what lives as long as the process: started in this order, stopped backwards."""
        logins = stored_logins()
        services: list[Service] = [
            WriterService(self._writer),
            LinksService(self._links),
            LiveViewService(self._live, self._audience.bring),
            LoginsService(logins),
            WatcherService(self._watcher),
        ]
        if self._notices is not None:
            services.insert(0, NoticeService(self._notices))
        if tracing := self._telemetry.tracing:
            services.insert(0, ExportService(tracing, self._telemetry.push))
        if self._flow_log is not None:
            services.insert(0, FlowLogService(self._flow_log))
        if not django_settings.REDIS_URL:  # with Redis, Celery beat renews: see providers.tasks
            services.append(RenewalService(ProactiveRenewal(logins, self._sources)))
        return services

    def _sources(self) -> list[AuthConf | None]:
        return [provider.auth for provider in self._store.current.providers.values()]

    def _views(self) -> Sink:
        return FanOut(self._live, *([self._flow_log] if self._flow_log else []))

    def _load(self) -> Snapshot:
        rows = read_rows()
        snapshot = build_snapshot(
            rows,
            command_timeout_s=self._settings.auth.command_timeout_seconds,
            shaping_enabled=self._settings.shaping.enabled,
        )
        # Only rows that could be built are handed on.
        self._rows = pickle.dumps(rows)
        return snapshot

    def _note_ended(self, flow: FinishedFlow) -> None:
        del flow
        self._links.notice()

    def _make_watcher(self) -> ConfigWatcher:
        loop = asyncio.get_running_loop()

        def hand_on(_: Snapshot) -> None:
            loop.call_soon_threadsafe(self._configure)

        return ConfigWatcher(
            self._store,
            endpoints=self._endpoints.as_dict(),
            version=product_version(),
            instances=self._instances,
            on_swap=hand_on,
            load=self._load,
        )

    def _configure(self) -> None:
        for client in self._clients.values():
            client.configure(self._rows)
        if self._is_shared:
            # Another machine may have events for a session that is new.
            self._spawn(self._notes.look())

    def _tell_notes(self, sessions: frozenset[str]) -> None:
        for client in self._clients.values():
            client.tell_notes(sessions)

    def _instances(self) -> dict[str, dict[str, Any]]:
        """Return what the heartbeats say, by the proxies' names."""
        stats = self._writer.stats()
        facts = {"queue_depth": stats.queue_depth, "writer_error": stats.last_error or ""}
        joined = [client for client in list(self._clients.values()) if client.is_open]
        told = {client.instance: {**facts, **client.facts()} for client in joined}
        for first in list(told)[:1]:
            told[first]["measures"] = self._telemetry.measures()
        return told

    def _cooldowns(self) -> list[dict[str, Any]]:
        """Return the cooldowns of the connected proxies."""
        found: list[dict[str, Any]] = []
        for client in list(self._clients.values()):
            found += client.facts().get("cooldowns", [])
        return found

    def _proxy_points(self) -> list[Point]:
        found: list[Point] = []
        for client in list(self._clients.values()):
            found += proxy_points(client.instance, client.facts())
        return found

    async def _follow_recording(self) -> None:
        """Say whether flows are stored, and make room for those that cannot be."""
        log = RecordingLog()
        told = ""
        while True:
            problem = self._recording.look()
            log.tell(problem)
            if problem != told:
                told = problem
                for client in self._clients.values():
                    client.tell_recording(problem)
                for console in self._consoles:
                    console.say(recording=problem)
            for client in self._clients.values():
                client.tell_waiting(self._links.backlog)
            self._writer.keep_up()
            if self._writer.is_refused:
                is_last = self._stopping.is_set()
                await asyncio.to_thread(self._writer.relieve, everything=is_last)
            is_watched = bool(problem) or self._writer.is_refused or self._writer.is_behind
            if is_watched or await self._records_come():
                await asyncio.sleep(RECORDING_EVERY_S)

    async def _records_come(self) -> bool:
        """Wait until records are read; return False if none are for a quarter of a minute."""
        try:
            async with asyncio.timeout(RECORDING_AT_REST_S):
                await self._has_records.wait()
        except TimeoutError:
            return False
        self._has_records.clear()
        return True

    def _fills(self) -> list[float]:
        return [client.fill for client in self._clients.values()]

    async def _drain(self) -> None:
        """Read and store what the proxies leave; without a supervisor they may still be ending.

        A database that is away must not keep the process for ever.
        """
        proxies_end_s = self._settings.shutdown_timeout_seconds + PROXY_MARGIN_S
        talks = [client.ended.wait() for client in self._clients.values()]
        with suppress(TimeoutError):
            async with asyncio.timeout(proxies_end_s):
                await asyncio.gather(*talks)
        with suppress(TimeoutError):
            async with asyncio.timeout(WRITER_DRAIN_TIMEOUT_S if self._clients else 0):
                await self._is_empty.wait()


def retention_policy(settings: ServerSettings) -> RetentionPolicy:
    """Return how much of the record is kept."""
    retention = settings.flows.retention
    return RetentionPolicy(
        max_age_days=retention.max_age_days,
        max_flows=retention.max_flows,
        max_bytes=retention.max_bytes,
    )


def note_limits(settings: ServerSettings) -> NoteLimits:
    """Return how many events of other programs are kept, and how long."""
    buffer = settings.mcp.buffer
    return NoteLimits(events_per_task=buffer.max_events_per_task, ttl_s=buffer.ttl_seconds)
