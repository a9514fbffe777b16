"""Launcher's end of the initiator: starts the helper, sends the device, stops it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jail.wireguard.peer import Peer
from providers.base.errors import ConfigError

HELPER = Path(__file__).with_name("helper.py")
HANDSHAKE_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 2.0
_MAX_REPORT_BYTES = 4096
_SILENT = "the interceptor's WireGuard server does not answer; start it again with: ccproxy start"


class InitiatorProcess:
    """Running helper.

    `pid` is its process; `fileno()` becomes readable when it reports or has ended.
    """

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self._process = process
        self._channel = channel
        self.pid = process.pid

    @classmethod
    def start(cls) -> InitiatorProcess:
        """Start the helper. It imports while the caller goes on.

        Raises:
            ConfigError: the process cannot be started.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                process = subprocess.Popen(  # noqa: S603  # our own interpreter and file
                    [sys.executable, "-I", str(HELPER)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise ConfigError(f"the Python WireGuard client cannot be started: {error}") from None
        return cls(process, ours)

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._channel.fileno()

    def connect(self, tun: int, peer: Peer, *, keylog: Path | None = None) -> None:
        """Send the helper a TUN descriptor and the keys; it starts the handshake.

        The caller may close `tun` afterwards.

        Raises:
            ConfigError: the helper has ended.
        """
        order = asdict(peer) | {"keylog": None if keylog is None else str(keylog)}
        try:
            socket.send_fds(self._channel, [json.dumps(order).encode() + b"\n"], [tun])
        except OSError:
            raise ConfigError(self._ended()) from None

    def wait_ready(self, timeout_s: float = HANDSHAKE_TIMEOUT_S) -> None:
        """Return when the tunnel carries packets.

        Raises:
            ConfigError: no handshake within the time, or the helper has failed; the message says
            why.
        """
        report = self._report(time.monotonic() + timeout_s)
        if "error" in report:
            raise ConfigError(str(report["error"]))

    def stop(self) -> None:
        """End the helper and reap it. May be called more than once."""
        self._channel.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _report(self, deadline: float) -> dict[str, Any]:
        """Return the helper's next line."""
        line = b""
        while not line.endswith(b"\n"):
            self._channel.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                part = self._channel.recv(_MAX_REPORT_BYTES)
            except TimeoutError:
                return {"error": _SILENT}
            except OSError:
                part = b""
            if not part:
                return {"error": self._ended()}
            line += part
        report: dict[str, Any] = json.loads(line)
        return report

    def _ended(self) -> str:
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "the Python WireGuard client has closed its control socket"
        return f"the Python WireGuard client has ended with exit code {code}"
