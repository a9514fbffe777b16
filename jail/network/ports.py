"""Ports between the jail and this machine, compared twice a second.

Listeners in the jail are offered on this machine's loopback. Allowed ports of this machine's
loopback are offered in the jail. A port that both sides use belongs to each on its own side: the
jail's programs reach their own server.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial

from jail.network.relay import relay
from jail.network.rules import RESTORE, host_ports
from jail.network.uplink import Uplink
from jail.stages.listeners import loopback_listeners
from providers.base.errors import ConfigError

POLL_S = 0.5
MIN_PORT, MAX_FORWARDED = 1024, 32
_BACKLOG = 64
_OTHER = {"127.0.0.1": "::1", "::1": "127.0.0.1"}


class Forwarded:
    """Listeners on this machine that lead into the jail."""

    def __init__(
        self, uplink: Uplink, excluded: Collection[int], note: Callable[[str], None]
    ) -> None:
        self._uplink = uplink
        # Ports of the proxy and its console, and those that `offer_host` listens on in the jail.
        self._excluded = set(excluded)
        self._note = note
        self._selector = selectors.DefaultSelector()
        self._open: dict[int, list[socket.socket]] = {}
        self._refused: set[int] = set()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, None)

    def sync(self, listening: Mapping[int, str]) -> None:
        """Offer the ports that have listeners now, and close the others.

        A port that is taken is tried once.
        """
        wanted = {port for port in listening if port >= MIN_PORT and port not in self._excluded}
        for port in self._open.keys() - wanted - self._excluded:
            self._close(port)
        # A refused port is tried again once its listener has gone and come back.
        self._refused &= wanted
        for port in sorted(wanted - self._open.keys() - self._refused):
            if len(self._open) >= MAX_FORWARDED:
                self._refuse(port, f"{MAX_FORWARDED} others are")
            elif (opened := _listen(port)) is None:
                self._refuse(port, f"127.0.0.1:{port} is in use on this machine")
            else:
                self._open[port] = opened
                for listener in opened:
                    self._offer(listener, partial(self._connect, listening[port], port))

    def serve(self, seconds: float) -> None:
        """Accept connections for a while, or until `wake`."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                if key.data is None:
                    return
                self._accept(*key.data)

    def wake(self) -> None:
        """Make `serve` return, from another thread."""
        self._wake.send(b".")

    def close(self) -> None:
        """Close all listeners."""
        for port in list(self._open):
            self._close(port)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def offer_host(self, ports: Mapping[int, int]) -> None:
        """Listen in the jail for ports of this machine, without address translation."""
        for inside, outside in ports.items():
            try:
                listener = self._uplink.listen(inside)
            except ConfigError:
                continue
            listener.setblocking(False)
            self._open[inside] = [listener]
            self._excluded |= {inside}
            self._offer(listener, partial(_connect_here, outside))

    def _offer(self, listener: socket.socket, connect: Callable[[], socket.socket | None]) -> None:
        self._selector.register(listener, selectors.EVENT_READ, (listener, connect))

    def _accept(self, listener: socket.socket, connect: Callable[[], socket.socket | None]) -> None:
        with contextlib.suppress(OSError):
            accepted, _ = listener.accept()
            accepted.setblocking(True)
            if (other := connect()) is None:
                accepted.close()
            else:
                relay(accepted, other)

    def _connect(self, host: str, port: int) -> socket.socket | None:
        """Connect to a port of the jail. [::] may turn out to be IPv6 alone."""
        for address in (host, _OTHER[host]):
            with contextlib.suppress(ConfigError):
                return self._uplink.connect(address, port)
        return None

    def _refuse(self, port: int, reason: str) -> None:
        self._refused.add(port)
        self._note(f"port {port} of the command was not forwarded: {reason}")

    def _close(self, port: int) -> None:
        for listener in self._open.pop(port):
            self._selector.unregister(listener)
            listener.close()


def _connect_here(port: int) -> socket.socket | None:
    with contextlib.suppress(OSError):
        return socket.create_connection(("127.0.0.1", port), timeout=None)
    return None


def _listen(port: int) -> list[socket.socket] | None:
    """Listen on both loopback addresses.

    None if IPv4's is taken; IPv6's may be missing.
    """
    opened: list[socket.socket] = []
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            opened.append(listener)
        except OSError:
            listener.close()
            if family == socket.AF_INET:
                return None
    return opened


class HostPorts:
    """Ports of this machine's loopback that the jail reaches by address translation."""

    def __init__(self, uplink: Uplink, always: Mapping[int, int], allowed: Collection[int]) -> None:
        self._uplink = uplink
        self._always = always
        self._allowed = allowed
        self._current: dict[int, int] | None = None

    def sync(self, listening: Mapping[int, str]) -> None:
        """Translate the ports on which this machine listens and the jail does not."""
        ours = loopback_listeners() if self._allowed else {}
        # slirp4netns reaches 127.0.0.1 alone, so a server on ::1 cannot be offered.
        wanted = {port: port for port in self._allowed if ours.get(port) == "127.0.0.1"}
        wanted.update(self._always)
        wanted = {port: target for port, target in wanted.items() if port not in listening}
        if wanted != self._current:
            self._uplink.load_rules([(RESTORE, host_ports(wanted))])
            self._current = wanted


class PortWatch:
    """Thread that keeps both directions up to date."""

    def __init__(self, uplink: Uplink, forwarded: Forwarded, host: HostPorts | None) -> None:
        self._uplink = uplink
        self._forwarded = forwarded
        self._host = host
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="jail ports")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close everything. Return once the thread has ended."""
        self._stop.set()
        if self._thread.is_alive():
            self._forwarded.wake()
            self._thread.join(POLL_S * 4)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                listening = self._uplink.listeners()
                if self._host is not None:
                    self._host.sync(listening)
                self._forwarded.sync(listening)
                self._forwarded.serve(POLL_S)
        except ConfigError:
            # The uplink has ended, and the jail with it.
            return
        finally:
            self._forwarded.close()
