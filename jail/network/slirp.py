"""Wrapper of slirp4netns, which connects the jail's tap0 to the host's loopback unprivileged."""

from __future__ import annotations

import os
import select
import subprocess
from pathlib import Path

from providers.base.errors import ConfigError

TAP, TAP_MTU = "tap0", 65520
LOG_NAME = "slirp4netns.log"
START_TIMEOUT_S, STOP_TIMEOUT_S = 10.0, 2.0


class Slirp:
    """Running slirp4netns. It ends with the launcher, because that closes `--exit-fd`."""

    def __init__(
        self, process: subprocess.Popen[bytes], ready: int, exit_end: int, log: Path
    ) -> None:
        self._process = process
        self._ready = ready
        self._exit_end = exit_end
        self._log = log

    @classmethod
    def start(cls, program: str, uplink_pid: int, state: Path) -> Slirp:
        """Start it for the namespaces of `uplink_pid`.

        Its sockets are bound to a loopback address. Even a process that broke out of the packet
        filter could only reach this machine.
        """
        ready, ready_end = os.pipe()
        exit_fd, exit_end = os.pipe()
        log = state / LOG_NAME
        # https://github.com/rootless-containers/slirp4netns/blob/master/slirp4netns.1.md
        options = [f"--mtu={TAP_MTU}", "--disable-dns", "--outbound-addr=127.0.0.1"]
        options += ["--enable-sandbox", "--enable-seccomp"]
        options += [f"--ready-fd={ready_end}", f"--exit-fd={exit_fd}"]
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(  # noqa: S603  # a tool found on PATH
                    [program, *options, str(uplink_pid), TAP],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(ready_end, exit_fd),
                    cwd="/",
                    start_new_session=True,
                )
        except OSError as error:
            os.close(ready)
            os.close(exit_end)
            raise ConfigError(f"slirp4netns cannot be started: {error}") from None
        finally:
            os.close(ready_end)
            os.close(exit_fd)
        return cls(process, ready, exit_end, log)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self) -> None:
        """Return once tap0 is there.

        Raises:
            ConfigError: with what slirp4netns says.
        """
        readable, _, _ = select.select([self._ready], [], [], START_TIMEOUT_S)
        if not readable or not os.read(self._ready, 1):
            raise ConfigError(
                f"slirp4netns failed: {self._last_words()}; see: ccproxy jail --doctor"
            )

    def stop(self) -> None:
        """End it and reap it. May be called more than once."""
        for descriptor in (self._ready, self._exit_end):
            if descriptor >= 0:
                os.close(descriptor)
        self._ready = self._exit_end = -1
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").split("\n")
        except OSError:
            lines = []
        # Its warnings about missing sandbox features come at every start.
        said = [line.strip() for line in lines if line.strip() and "WARNING" not in line]
        return " / ".join(said[-3:]) or "it said nothing"
