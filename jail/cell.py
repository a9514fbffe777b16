"""Launcher's end of the command's process: starts it, sends its orders, lets it execute.

The other end is jail/stages/cell.py.
"""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import asdict, dataclass
from typing import NoReturn

from jail.network.uplink import stage_command
from jail.stages import channel
from providers.base.errors import ConfigError

_READY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders for the cell."""

    program: str
    """The file to execute."""
    shown: list[tuple[str, str]]
    """(source, target): the file `source` appears at `target`, read-only."""
    covered: list[str]
    """Folders to hide behind empty ones."""
    launcher_pid: int


class Cell:
    """Process that becomes the command. `pid` stays the command's."""

    def __init__(self, process: subprocess.Popen[bytes], end: socket.socket) -> None:
        self._process = process
        self._end = end
        self.pid = process.pid

    @classmethod
    def start(cls, command: list[str], environ: dict[str, str]) -> Cell:
        """Start the process, with the caller's descriptors, terminal and process group."""
        ours, theirs = channel.pair()
        with theirs:
            theirs.set_inheritable(True)
            process = subprocess.Popen(  # noqa: S603  # our own interpreter and program
                stage_command("cell", str(theirs.fileno()), *command), env=environ, close_fds=False
            )
        return cls(process, ours)

    def enter(self, orders: Orders, namespaces: tuple[int, int]) -> None:
        """Let the process join the namespaces.

        Raises:
            ConfigError: the kernel refused something.
        """
        self._end.settimeout(_READY_TIMEOUT_S)
        try:
            channel.send(self._end, asdict(orders), namespaces)
            received = channel.receive(self._end)
        except (OSError, TimeoutError):
            received = None
        if received is None:
            raise ConfigError("the command's process ended while the jail was set up")
        if "error" in received[0]:
            raise ConfigError(
                f"the jail cannot be closed: {received[0]['error']}; see: ccproxy jail --doctor"
            )

    def go(self) -> None:
        """Let the process become the command.

        Raises:
            OSError: the command cannot be executed.
        """
        channel.send(self._end, {"go": True})
        self._end.settimeout(None)
        received = channel.receive(self._end)
        self._end.close()
        if received is not None:
            self._process.wait()
            _raise(received[0])

    def kill(self) -> None:
        """Kill the process in any state. Harmless when it has ended."""
        self._end.close()
        if self._process.returncode is None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _raise(message: dict[str, int]) -> NoReturn:
    number = message["errno"]
    raise OSError(number, os.strerror(number))
