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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from channels.layers import channel_layers, get_channel_layer
from django.conf import settings as django_settings
from django.db import connection

from ccproxy_site.mains.addresses import endpoints_of
from ccproxy_site.mains.audience import Audience
from ccproxy_site.mains.child_main import follow
from ccproxy_site.mains.joined_proxies import JoinedProxies
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
from flows.telemetry.finished_flow import FinishedFlow, OnFinished
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
from interceptor.instances.processes import instance_of, running_instances
from interceptor.kept_notes import DatabaseNotes, KeptNotes, note_limits
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
        self._proxies = JoinedProxies()
        self._consoles: set[Bridge] = set()
        self._telemetry = RecorderTelemetry(
            tracing_conf(settings), lambda: self._writer.stats(), self._proxies.points
        )
        self._flow_lines = FlowLines(sys.stderr if flow_lines else None)
        self._notices = notice_thread(
            settings,
            redact=self._redactor.text,
            problem=lambda: self._recording.problem,
            cooldowns=self._proxies.cooldowns,
        )
        fresh = FreshFlows()
        self._writer = self._make_writer(fresh)
        self._links = LinkThread(
            lambda: self._writer.is_behind or self._writer.is_refused,
            fresh,
            LastingConnection().open,
        )
        self._recording = RecordingWatch(self._writer.stats, self._proxies.fills)
        self._make_views()
        self._grants = DatabaseGrants()
        kept = KeptNotes(note_limits(settings), self._redactor.text)
        self._notes = DatabaseNotes(kept, self._proxies.tell_notes)
        self._is_shared = connection.vendor != "sqlite"
        self._stopping = asyncio.Event()
        self._has_records = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    def _make_writer(self, fresh: FreshFlows) -> FlowWriter:
        """Return the thread that stores flows, with all that hears of each finished one."""
        observers: list[OnFinished] = [self._flow_lines.finished, *self._telemetry.on_finished]
        if self._notices is not None:
            observers.append(self._notices.finished)
        observers.append(self._note_ended)
        return FlowWriter(
            redactor=self._redactor,
            retention=retention_policy(self._settings),
            spool=Spool(self._directory / "spool"),
            on_finished=observers,
            fresh=fresh,
            is_watched=lambda: may_be_heard(get_channel_layer()),
        )

    def _make_views(self) -> None:
        """Make what shows flows while they run: the flow log, the live view and its audience."""
        detail = self._settings.inspector.mitmproxy.flow_detail
        self._flow_log = FlowLog(detail, self._redactor) if detail else None
        self._live = LiveBus(self._redactor)
        self._layer = ConsoleLayer()
        self._audience = Audience(
            self._proxies, self._layer, self._live, lambda: self._writer.hurry(at_once=True)
        )

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
        # Without a supervisor they may still be ending.
        await self._proxies.drain(
            end_timeout_s=self._settings.shutdown_timeout_seconds + PROXY_MARGIN_S,
            store_timeout_s=WRITER_DRAIN_TIMEOUT_S,
        )
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
        self._proxies.add(number, joined)
        if client["open"]:
            end, bell = connection
            self._spawn(joined.talk(end, bell, lambda: self._rows, lambda: self._recording.problem))
        else:
            joined.read_the_rest()

    def _drained(self, number: int) -> None:
        self._control.say(drained=number)
        self._proxies.remove(number)

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
        self._proxies.configure(self._rows)
        if self._is_shared:
            # Another machine may have events for a session that is new.
            self._spawn(self._notes.look())

    def _instances(self) -> dict[str, dict[str, Any]]:
        """Return what the heartbeats say, by the proxies' names."""
        stats = self._writer.stats()
        facts = {"queue_depth": stats.queue_depth, "writer_error": stats.last_error or ""}
        told = {name: {**facts, **own} for name, own in self._proxies.facts().items()}
        for first in list(told)[:1]:
            told[first]["measures"] = self._telemetry.measures()
        return told

    async def _follow_recording(self) -> None:
        """Say whether flows are stored, and make room for those that cannot be."""
        log = RecordingLog()
        told = ""
        while True:
            problem = self._recording.look()
            log.tell(problem)
            if problem != told:
                told = problem
                self._proxies.tell_recording(problem)
                for console in self._consoles:
                    console.say(recording=problem)
            self._proxies.tell_waiting(self._links.backlog)
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


def retention_policy(settings: ServerSettings) -> RetentionPolicy:
    """Return how much of the record is kept."""
    retention = settings.flows.retention
    return RetentionPolicy(
        max_age_days=retention.max_age_days,
        max_flows=retention.max_flows,
        max_bytes=retention.max_bytes,
    )
