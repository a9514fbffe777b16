"""mitmproxy's connection handler without a task and a lock for each event.

mitmproxy 12.2 starts a task for every hook, whose end waits for a lock until the loop comes round
again. Here events that come up while another one is handled wait in a queue, hooks whose addons
need not wait are called on the spot, and what is written to a connection meanwhile leaves in one
piece: a head and its body need one system call, not two.

Order is mitmproxy's own: an event's commands are carried out before the next event is handled,
events are handled as they came up, and each in the context of the task (here: the hook) that caused
it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from contextvars import Context, copy_context
from typing import Any

from mitmproxy.connection import Connection
from mitmproxy.flow import Flow
from mitmproxy.proxy import commands, events, mode_servers
from mitmproxy.proxy.server import ConnectionIO
from mitmproxy.utils import asyncio_utils

from interceptor.mitm.addon_dispatch import CachedAddonManager, args_of

READ_BYTES = 512 * 1024
MERGED_BYTES = 128 * 1024
"""Larger pieces are written one by one: copying them would cost more than a system call."""


def install() -> None:
    """Handle every connection of this process this way."""
    names: Any = mode_servers
    names.ProxyConnectionHandler = QuickConnectionHandler


class LargeReads(asyncio.StreamReader):
    """A client's stream in pieces of up to `READ_BYTES`, where mitmproxy asks for 64 KB: each piece
    costs 60 µs.

    Agents send a megabyte with every turn.
    """

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        vars(stream)["_limit"] = READ_BYTES  # reading pauses at twice as much

    def __repr__(self) -> str:
        return f"LargeReads({self._stream!r})"

    async def read(self, n: int = -1) -> bytes:
        """What there is, `READ_BYTES` at most; b"" at the end."""
        return await self._stream.read(max(n, READ_BYTES))


class QuickConnectionHandler(mode_servers.ProxyConnectionHandler):
    """One client connection and the server connections that are opened for it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        client = self.transports[self.client]
        if isinstance(client.reader, asyncio.StreamReader):
            client.reader = LargeReads(client.reader)
        self._waiting: deque[tuple[events.Event, Context]] = deque()
        self._is_handling = False
        self._unsent: dict[Connection, list[bytes]] = {}

    async def server_event(self, event: events.Event) -> None:
        """Handle an event, and all that come up meanwhile; at once, or after the one that is being
        handled.
        """
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

    def _handle(self, event: events.Event) -> None:
        self.timeout_watchdog.register_activity()
        try:
            for command in self.layer.handle_event(event):
                self._carry_out(command)
        except Exception:
            self.log("mitmproxy has crashed!", logging.ERROR, exc_info=True)

    def _carry_out(self, command: commands.Command) -> None:
        if isinstance(command, commands.StartHook):
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
        self._send(command.connection)
        self.close_connection(command.connection, getattr(command, "half_close", False))

    def _send_all(self) -> None:
        for connection in list(self._unsent):
            self._send(connection)

    def _send(self, connection: Connection) -> None:
        pieces = self._unsent.pop(connection, None)
        writer = (
            self.transports[connection].writer if pieces and connection in self.transports else None
        )
        if not pieces or writer is None or writer.is_closing():
            return
        if (
            len(pieces) > 1
            and connection.transport_protocol == "tcp"
            and sum(map(len, pieces)) <= MERGED_BYTES
        ):
            pieces = [b"".join(pieces)]
        for piece in pieces:
            writer.write(piece)

    def _open(self, command: commands.OpenConnection) -> None:
        task = self._task(
            self.open_connection(command), f"server connection handler {command.connection.address}"
        )
        self.transports[command.connection] = ConnectionIO(handler=task)

    def _wake_up_later(self, command: commands.RequestWakeup) -> None:
        self.wakeup_timer.add(
            self._task(self.wakeup(command), f"wakeup timer ({command.delay:.1f}s)")
        )

    def _start_hook(self, hook: commands.StartHook) -> None:
        addons = self.master.addons
        assert isinstance(addons, CachedAddonManager)  # noqa: S101  # see interceptor.master
        (data,) = args_of(hook)
        context = copy_context()
        pending = context.run(addons.call, hook, data)
        if pending is not None or (isinstance(data, Flow) and data.intercepted):
            context.run(
                self._task,
                self._rest_of_hook(hook, pending),
                f"handle_hook({hook.name})",
                keep_ref=True,
            )
        elif hook.blocking:
            self._waiting.append((events.HookCompleted(hook), context))

    async def _rest_of_hook(
        self, hook: commands.StartHook, pending: Awaitable[None] | None
    ) -> None:
        with self.timeout_watchdog.disarm():
            if pending is not None:
                await pending
            (data,) = args_of(hook)
            if isinstance(data, Flow):
                await data.wait_for_resume()
        if hook.blocking:
            await self.server_event(events.HookCompleted(hook))

    def _task(self, work: Any, name: str, *, keep_ref: bool = False) -> asyncio.Task[None]:
        return asyncio_utils.create_task(
            work, name=name, keep_ref=keep_ref, client=self.client.peername
        )
