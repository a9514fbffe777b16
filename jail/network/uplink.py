"""Launcher's end of the uplink: starts it, sends orders, waits for replies.

The other end is jail/stages/uplink.py.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jail.network import namespace_limits
from jail.network.rules import RuleSet
from jail.stages import BOOT, channel
from providers.base.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
STOP_TIMEOUT_S = 5.0
_START_TIMEOUT_S, _ORDER_TIMEOUT_S = 10.0, 20.0
_CLEAN_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}


def stage_command(stage: str, *arguments: str) -> list[str]:
    """Return the command line of a stage."""
    # -I and -S: nothing of the user's environment or site-packages may slow it down or break it.
    return [sys.executable, "-I", "-S", "-c", BOOT.format(stage=stage), str(ROOT), *arguments]


class Uplink:
    """Running owner of the namespaces. Several threads may send orders."""

    def __init__(self, process: subprocess.Popen[bytes], end: socket.socket) -> None:
        self._process = process
        self._end = end
        self._lock = threading.Lock()
        self.namespaces: tuple[int, int] = (-1, -1)
        """Descriptors of the user and the network namespace, once it is ready."""

    @classmethod
    def start(cls, state: Path) -> Uplink:
        """Start it. It makes the namespaces while the caller goes on, and removes `state` at its
        end.
        """
        ours, theirs = channel.pair()
        with theirs:
            process = subprocess.Popen(  # noqa: S603  # our own interpreter and program
                stage_command("uplink", str(theirs.fileno()), str(state)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=_CLEAN_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        return cls(process, ours)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self) -> None:
        """Return once the namespaces are there.

        Raises:
            ConfigError: this machine does not allow them.
        """
        answer, descriptors = self._receive(_START_TIMEOUT_S)
        if "error" in answer:
            raise ConfigError(namespace_limits.refusal(answer["error"], answer.get("errno")))
        self.namespaces = (descriptors[0], descriptors[1])

    def open_tunnel(self, **order: Any) -> tuple[str, int | None]:
        """Make wg0. Return the backend, and a TUN descriptor if our own client must serve it.

        Raises:
            ConfigError: no backend works.
        """
        answer, descriptors = self._order("tunnel", **order)
        tun = descriptors[0] if descriptors else None
        return answer["backend"], tun

    def configure(
        self, rules: RuleSet, *, tap: bool, tap_mtu: int = 0, udp_only_to: str | None = None
    ) -> None:
        """Set addresses, packet filter and routes: all or an error.

        `udp_only_to` replaces a filter of UDP.

        Raises:
            ConfigError: the kernel or a tool refused.
        """
        self._order("configure", rules=rules, tap=tap, tap_mtu=tap_mtu, udp_only_to=udp_only_to)

    def load_rules(self, rules: RuleSet) -> None:
        """Add or replace rules of the packet filter."""
        self._order("rules", rules=rules)

    def listeners(self) -> dict[int, str]:
        """Return ports of the jail's loopback that have a listener, with the address of each."""
        return {int(port): host for port, host in self._order("listeners")[0]["ports"].items()}

    def connect(self, host: str, port: int) -> socket.socket:
        """Connect to a port of the jail's loopback.

        Raises:
            ConfigError: nothing listens there.
        """
        return socket.socket(fileno=self._order("connect", host=host, port=port)[1][0])

    def listen(self, port: int) -> socket.socket:
        """Listen on the jail's loopback.

        Raises:
            ConfigError: the port is taken inside the jail.
        """
        return socket.socket(fileno=self._order("listen", port=port)[1][0])

    def packets(self) -> socket.socket:
        """Open a packet socket on wg0 (AF_PACKET, SOCK_DGRAM).

        It sees every packet of the tunnel in clear, both directions.
        """
        return socket.socket(fileno=self._order("packets")[1][0])

    def end_all(self, grace_s: float) -> int:
        """End all processes of the jail that still run. Return their number."""
        return int(self._order("end", grace_s=grace_s)[0]["ended"])

    def stop(self) -> None:
        """Let it end the other processes and exit. May be called more than once."""
        self._end.close()
        for descriptor in self.namespaces:
            if descriptor >= 0:
                os.close(descriptor)
        self.namespaces = (-1, -1)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _order(self, op: str, **order: Any) -> tuple[dict[str, Any], Sequence[int]]:
        with self._lock:
            try:
                channel.send(self._end, {"op": op, **order})
            except OSError:
                raise ConfigError("the jail's uplink process has ended") from None
            answer, descriptors = self._receive(_ORDER_TIMEOUT_S)
        if "error" in answer:
            raise ConfigError(f"the jail's network cannot be set up: {answer['error']}")
        return answer, descriptors

    def _receive(self, timeout_s: float) -> tuple[dict[str, Any], list[int]]:
        self._end.settimeout(timeout_s)
        try:
            received = channel.receive(self._end)
        except TimeoutError:
            raise ConfigError("the jail's uplink process does not answer") from None
        if received is None:
            raise ConfigError("the jail's uplink process has ended")
        return received
