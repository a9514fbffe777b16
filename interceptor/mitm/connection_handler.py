"""Connection handler without a task and a lock for each event.

mitmproxy 12.2 starts a task for every hook, whose end waits for a lock until the loop's next turn.
Four differences here:

- An event that comes up while another one is handled waits in a queue.
- A hook whose addons need not wait is called on the spot.
- What is written to a connection meanwhile leaves together: the headers and the body of a message
  need one system call, not two.
- What arrives is handled in the callback that received it. mitmproxy's task wakes up for it, which
  takes a turn of the loop, a future and two copies of the bytes.

The order is mitmproxy's own. An event's commands are carried out before the next event is handled.
Events are handled in the order in which they came up, each in the context of the task (here: the
hook) that caused it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Coroutine
from contextvars import Context, copy_context
from typing import Any

from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.flow import Flow
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.server import ConnectionIO
from mitmproxy.utils import asyncio_utils

from interceptor.mitm.addon_dispatch import CachedAddonManager, args_of
from interceptor.mitm.ending.lost_peers import PeerWatchingHandler
from interceptor.mitm.events.direct_reads import LargeReads, delivered_at_once

MERGED_BYTES = 128 * 1024
"""Larger pieces are written one by one: copying them would cost more than a system call."""


class FastConnectionHandler(PeerWatchingHandler):
    """One client connection and the server connections that are opened for it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        client = self.transports[self.client]
        if isinstance(client.reader, asyncio.StreamReader):
            client.reader = LargeReads(client.reader)
        self._waiting: deque[tuple[events.Event, Context]] = deque()
        self._is_handling = False
        self._unsent: dict[Connection, list[bytes]] = {}
        self._hooks: set[asyncio.Task[None]] = set()

    async def server_event(self, event: events.Event) -> None:
        """Handle an event and all that come up meanwhile, or queue it while another is handled."""
        self._take(event)

    def _take(self, event: events.Event) -> None:
        if self._is_handling:
            self._waiting.append((event, copy_context()))
            return
        self._is_handling = True
        try:
            self._handle(event)
            while self._waiting:
                event, context = self._waiting.popleft()
                context.run(self._handle, event)
        finally:
            self._is_handling = False
            self._send_all()

    async def handle_connection(self, connection: Connection) -> None:
        """Read from a connection until it ends."""
        reader = self.transports[connection].reader
        if not isinstance(reader, asyncio.StreamReader):
            await super().handle_connection(connection)
            return
        context = copy_context()

        def deliver(data: bytes) -> bool:
            # mitmproxy's task waits until everything was written before it reads on.
            if not self._has_written_all():
                return False
            context.run(self._take, events.DataReceived(connection, data))
            return True

        with delivered_at_once(reader, deliver):
            await super().handle_connection(connection)

    def _handle(self, event: events.Event) -> None:
        self.timeout_watchdog.register_activity()
        try:
            for command in self.layer.handle_event(event):
                self._carry_out(command)
            self.watch_after(event)
        except Exception:
            # mitmproxy's own words: people search for them.
            self.log("mitmproxy has crashed!", logging.ERROR, exc_info=True)

    def _carry_out(self, command: commands.Command) -> None:
        # The usual one, and the only one of an event of a stream.
        if type(command) is commands.SendData:
            if command.connection in self.transports:
                self._unsent.setdefault(command.connection, []).append(command.data)
        elif isinstance(command, commands.StartHook):
            self._start_hook(command)
        elif isinstance(command, commands.Log):
            self.log(command.message, command.level)
        elif isinstance(command, commands.OpenConnection):
            self._open(command)
        elif isinstance(command, commands.RequestWakeup):
            self._wake_up_later(command)
        elif not isinstance(command, commands.ConnectionCommand):
            raise RuntimeError(f"Unexpected command: {command}")
        elif command.connection in self.transports:  # else it was closed already
            self._to_connection(command)

    def _to_connection(self, command: commands.ConnectionCommand) -> None:
        if isinstance(command, commands.SendData):
            self._unsent.setdefault(command.connection, []).append(command.data)
            return
        # What was to be written before the close has to leave before it.
        self._send(command.connection)
        self.close_connection(command.connection, getattr(command, "half_close", False))

    def _send_all(self) -> None:
        if not self._unsent:
            return
        unsent, self._unsent = self._unsent, {}
        for connection, pieces in unsent.items():
            self._write(connection, pieces)

    def _send(self, connection: Connection) -> None:
        if pieces := self._unsent.pop(connection, None):
            self._write(connection, pieces)

    def _write(self, connection: Connection, pieces: list[bytes]) -> None:
        transport = self.transports.get(connection)
        if transport is None:
            return
        writer = transport.writer
        if writer is None or writer.is_closing():
            return
        # asyncio refuses to write behind a half close. `&` of two flags is slow.
        state = connection.state
        if state is not ConnectionState.OPEN and state is not ConnectionState.CAN_WRITE:
            return
        # Datagrams keep their borders; a stream has none.
        is_stream = connection.transport_protocol == "tcp"
        if len(pieces) > 1 and is_stream and sum(map(len, pieces)) <= MERGED_BYTES:
            pieces = [b"".join(pieces)]
        for piece in pieces:
            writer.write(piece)

    async def drain_writers(self) -> None:
        """Wait until what was written has left; at once where nothing is left to be written.

        The usual case, after each chunk of a stream: the kernel has taken everything.
        """
        if not self._has_written_all():
            await super().drain_writers()  # type: ignore[no-untyped-call]

    def _has_written_all(self) -> bool:
        for transport in self.transports.values():
            writer = transport.writer
            if writer is None:
                continue
            # A datagram's writer shows no buffer; a closing one may have failed.
            if not isinstance(writer, asyncio.StreamWriter) or writer.is_closing():
                return False
            if writer.transport.get_write_buffer_size():
                return False
        return True

    def _open(self, command: commands.OpenConnection) -> None:
        task = self._task(
            self.open_connection(command), f"server connection handler {command.connection.address}"
        )
        self.transports[command.connection] = ConnectionIO(handler=task)

    def _wake_up_later(self, command: commands.RequestWakeup) -> None:
        task = self._task(self.wakeup(command), f"wakeup timer ({command.delay:.1f}s)")
        self.wakeup_timer.add(task)

    def _start_hook(self, hook: commands.StartHook) -> None:
        addons = self.master.addons
        # The table of patches installs the addon manager before this handler.
        assert isinstance(addons, CachedAddonManager)  # noqa: S101
        (data,) = args_of(hook)
        context = copy_context()
        pending = context.run(addons.call, hook, data)
        if pending is not None or (isinstance(data, Flow) and data.intercepted):
            self._begin(self._rest_of_hook(hook, pending), f"handle_hook({hook.name})", context)
        elif hook.blocking:
            self._waiting.append((events.HookCompleted(hook), context))

    async def _rest_of_hook(
        self, hook: commands.StartHook, pending: Awaitable[None] | None
    ) -> None:
        # An addon may take longer than mitmproxy lets a connection be silent.
        with self.timeout_watchdog.disarm():
            if pending is not None:
                await pending
            (data,) = args_of(hook)
            if isinstance(data, Flow):
                await data.wait_for_resume()
        if hook.blocking:
            await self.server_event(events.HookCompleted(hook))

    def _begin(self, work: Coroutine[Any, Any, None], name: str, context: Context) -> None:
        """Run a coroutine up to where it has to wait, and the rest in a task.

        Most hooks that could wait do not: a credential is known, a body small. A turn of the loop
        for each of them would be a tenth of a small request's time.
        """
        task = asyncio.Task(
            work,
            loop=asyncio.get_running_loop(),
            name=name,
            context=context,
            eager_start=True,
        )
        if not task.done():
            # The loop itself keeps weak references alone.
            self._hooks.add(task)
            task.add_done_callback(self._hooks.discard)

    def _task(self, work: Any, name: str) -> asyncio.Task[None]:
        return asyncio_utils.create_task(
            work, name=name, keep_ref=False, client=self.client.peername
        )
