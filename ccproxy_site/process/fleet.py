"""Worker processes behind one port: started, restarted, bridged to the pages, stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.db import DatabaseError

from ccproxy_site.process.bridge import Bridge
from ccproxy_site.process.live_bridge import follow_worker
from ccproxy_site.process.service import Service, ServiceList
from ccproxy_site.process.worker import command_line
from flows.services import mark_interrupted, mark_interrupted_of
from interceptor.config.files.server import ServerSettings
from interceptor.instances.endpoints import Endpoints
from interceptor.instances.processes import instance_of, running_instances
from interceptor.mitm.listener import open_listeners
from providers.base.errors import ConfigError
from providers.fields import keyring

logger = logging.getLogger(__name__)

READY_TIMEOUT_S = 60.0
STOP_MARGIN_S = 40.0
"""What a worker may take to stop beyond its open streams' time: its record and its renewals."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
CALM_AFTER_S = 60.0
AUDIENCE_EVERY_S = 0.2
_PACKAGES = str(Path(__file__).resolve().parents[2])


class Fleet:
    """The parent of `runinterceptor --workers N`.

    The same face as `Runtime`: run, request_stop, failure.
    """

    def __init__(
        self,
        settings: ServerSettings,
        directory: Path,
        endpoints: Endpoints,
        *,
        require_token: bool,
        workers: int,
        console: Service | None = None,
    ) -> None:
        self.settings = settings
        self.directory = directory
        self.endpoints = endpoints
        self.failure: ConfigError | None = None
        self._require_token = require_token
        self._count = workers
        self._console = ServiceList([console] if console else [])
        self._stopping = asyncio.Event()
        self._listeners = open_listeners(settings.host, settings.port)
        self._bridges: set[Bridge] = set()
        self._told: frozenset[str] = frozenset()

    def prepare(self) -> None:
        """Run the blocking start-up work, before any process is started."""
        keyring()
        mark_interrupted(datetime.now(UTC), running_instances())

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Run until a signal or `request_stop`.

        `on_ready` is called on a thread, once every worker accepts requests.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.request_stop)
        await self._console.start()
        ready = [asyncio.Event() for _ in range(self._count)]
        keepers = [asyncio.create_task(self._keep(event)) for event in ready]
        audience = asyncio.create_task(self._tell_audience())
        try:
            await self._until_ready(ready)
            if not self._stopping.is_set():
                await asyncio.to_thread(on_ready)  # it reads the database
            await self._stopping.wait()
        except ConfigError as exc:
            self.failure = self.failure or exc
        finally:
            self.request_stop()
            for listener in self._listeners:
                # Before the workers end: a connection that no process accepts must be refused.
                listener.close()
            await asyncio.gather(*keepers)
            audience.cancel()
            await self._console.stop()

    def request_stop(self) -> None:
        """Begin to stop; a second request does nothing more."""
        self._stopping.set()

    async def _until_ready(self, ready: list[asyncio.Event]) -> None:
        waits = asyncio.gather(*(event.wait() for event in ready))
        try:
            await asyncio.wait_for(_first_of(self._stopping.wait(), waits), READY_TIMEOUT_S)
        except TimeoutError:
            raise ConfigError("the workers did not start; the log says why") from None

    async def _keep(self, ready: asyncio.Event) -> None:
        """Keep one worker running: restart it when it ends, with longer pauses while it ends at
        once.
        """
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._one_life(ready)
            if self._stopping.is_set():
                return
            if not ready.is_set():
                self.failure = self.failure or ConfigError(
                    f"a worker ended with {code}; the log says why"
                )
                self.request_stop()
                return
            pause_s = FIRST_PAUSE_S if time.monotonic() - began > CALM_AFTER_S else pause_s
            logger.error("a worker ended with %s; starting another in %.1f s", code, pause_s)
            await _first_of(self._stopping.wait(), asyncio.sleep(pause_s))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _one_life(self, ready: asyncio.Event) -> int:
        """Start a worker, pass its messages on, and return its exit code.

        Ends it when the fleet stops.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = await self._start(theirs)
        bridge = await Bridge.open(ours)
        self._bridges.add(bridge)
        bridge.say(endpoints=self.endpoints.as_dict())
        bridge.say(groups=list(self._told))
        hearing = asyncio.create_task(
            follow_worker(bridge, get_channel_layer(), lambda words: self._heard(words, ready))
        )
        await _first_of(process.wait(), self._stopping.wait())
        if process.returncode is None:
            await self._end(process)
        # The bridge hears the end of the worker by itself, and passes on what came before it.
        await asyncio.wait({hearing}, timeout=1)
        hearing.cancel()
        self._bridges.discard(bridge)
        await bridge.close()
        await asyncio.to_thread(_mark_interrupted, instance_of(process.pid))
        return process.returncode if process.returncode is not None else -1

    async def _start(self, bridge: socket.socket) -> asyncio.subprocess.Process:
        inherited = [*self._listeners, bridge]
        # A worker must import the parent's own packages, wherever it was started.
        paths = [_PACKAGES, os.environ.get("PYTHONPATH", "")]
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        return await asyncio.create_subprocess_exec(
            *command_line(self._listeners, bridge, require_token=self._require_token),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=[one.fileno() for one in inherited],
            env=environ,
        )

    def _heard(self, words: dict[str, Any], ready: asyncio.Event) -> None:
        if words.get("ready"):
            ready.set()
        elif failed := words.get("failed"):
            self.failure = self.failure or (None if ready.is_set() else ConfigError(failed))
            logger.error("a worker could not start: %s", failed)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        process.terminate()
        try:
            await asyncio.wait_for(
                process.wait(), self.settings.shutdown_timeout_seconds + STOP_MARGIN_S
            )
        except TimeoutError:
            logger.error("worker %s did not stop in time and was killed", process.pid)
            process.kill()
            await process.wait()

    async def _tell_audience(self) -> None:
        """Tell the workers which groups the pages have joined, whenever that changes.

        With Redis, workers ask there.
        """
        layer = get_channel_layer()
        while isinstance(layer, InMemoryChannelLayer):
            groups = frozenset(layer.groups)
            if groups != self._told:
                self._told = groups
                for bridge in self._bridges:
                    bridge.say(groups=list(groups))
            await asyncio.sleep(AUDIENCE_EVERY_S)


def _mark_interrupted(instance: str) -> None:
    try:
        mark_interrupted_of(instance)
    except DatabaseError as exc:
        logger.warning("the running flows of %s could not be ended: %s", instance, exc)


async def _first_of(*waits: Any) -> None:
    """Wait until one of the waits ends, and cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
