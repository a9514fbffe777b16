"""A running interceptor, as a process, with a config directory of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from flows.bodies.packed_body import unpack
from flows.sides import HookTrace, read_sides, read_traces
from tests.calls import call_elsewhere
from tests.e2e import raw
from tests.new_database import put_authority, put_tables
from tests.patience import PATIENCE_S
from tests.ports import free_port
from tests.warm.starter import WarmProcess, run_script, start_script

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "manage.py")


def wait_until[T](ask: Callable[[], T], what: str, timeout_s: float = PATIENCE_S) -> T:
    """The first truthy answer."""
    deadline = time.monotonic() + timeout_s
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.05)
    return answer


class Interceptor:
    """`manage.py runinterceptor` with its config directory; everything it prints is in
    `log_path`.
    """

    def __init__(self, folder: Path, config: str = "", *arguments: str, **environ: str) -> None:
        self.folder = folder
        self.config_dir = folder / "config"
        self.config_dir.mkdir(mode=0o700, exist_ok=True)
        if config:
            path = self.config_dir / "ccproxy.yaml"
            path.write_text(config)
            path.chmod(0o600)
        self.port, self.console_port = free_port(), free_port()
        self.mcp_port = free_port()
        self.log_path = folder / "output.log"
        self.arguments = arguments
        self.prefix: tuple[str, ...] = ()
        """Words before the command that starts it, e.g. to become another user."""
        self.program: tuple[str, ...] = PROGRAM
        self.start_word = "runinterceptor"
        self.cwd = ROOT
        self.environ = {
            **{
                k: v
                for k, v in os.environ.items()
                if not k.startswith("CCPROXY_") and k not in _NOT_PASSED_ON
            },
            "CCPROXY_CONFIG_DIR": str(self.config_dir),
            "CCPROXY_PORT": str(self.port),
            "CCPROXY_INSPECTOR__PORT": str(self.console_port),
            "CCPROXY_MCP__HTTP__PORT": str(self.mcp_port),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environ,
        }
        self.makes_tables = False
        """Its first start makes the tables; else it finds them made, and no rows."""
        self.has_authority_elsewhere = "cert_dir" in config
        self.has_console = "--no-console" not in arguments
        self.starts_cold = False
        """It is a program of its own from the first import on, also where a fork could do."""
        self._process: subprocess.Popen[bytes] | WarmProcess | None = None

    @property
    def url(self) -> str:
        """The proxy's base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def console_url(self) -> str:
        return f"http://127.0.0.1:{self.console_port}"

    @property
    def database(self) -> Path:
        return self.config_dir / "ccproxy.sqlite3"

    @property
    def log(self) -> str:
        return self.log_path.read_text() if self.log_path.exists() else ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def proxies(self) -> set[int]:
        """Pids of the processes that accept requests."""
        return self.children("proxy_main")

    @property
    def proxy_pid(self) -> int:
        """Pid of the one process that accepts requests."""
        (pid,) = self.proxies
        return pid

    @property
    def recorder_pid(self) -> int:
        """Pid of the process that writes the record."""
        (pid,) = self.children("recorder_main")
        return pid

    @property
    def console_pid(self) -> int:
        """Pid of the process that serves pages."""
        (pid,) = self.children("console_main")
        return pid

    def children(self, main: str) -> set[int]:
        """Pids of its processes with this main."""
        found: set[int] = set()
        # The nursery forks the others, except where there is none.
        direct = _children(self.pid)
        for pid in [*direct, *(child for parent in direct for child in _children(parent))]:
            # A child may end while the list is read.
            with contextlib.suppress(OSError):
                if main.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.add(pid)
        return found

    def start(self) -> Self:
        """Start it and return once it answers."""
        self.launch()
        self.wait_for_start()
        return self

    def launch(self) -> None:
        """Start it and return at once."""
        if not self.makes_tables and "DATABASE_URL" not in self.environ:
            put_tables(self.config_dir)
        if not (self.makes_tables or self.starts_cold or self.has_authority_elsewhere):
            put_authority(self.config_dir)
        with self.log_path.open("ab") as log, Path(os.devnull).open("rb") as nothing:
            self._process = start_script(
                [*self.prefix, *self.program, self.start_word, *self.arguments],
                env=self.environ,
                cwd=self.cwd,
                files=(nothing.fileno(), log.fileno(), log.fileno()),
                is_warm=(*self.prefix, *self.program) == PROGRAM and not self.starts_cold,
            )

    def is_healthy(self) -> bool:
        """Tell if /health answers."""
        self._check_it_runs()
        with contextlib.suppress(EOFError, OSError):
            return self._asked_for_health().status == 200
        return False

    def _check_it_runs(self) -> None:
        assert self._process is not None
        assert self._process.poll() is None, (
            f"it ended with {self._process.returncode}:\n{self.log}"
        )

    def _answers(self) -> bool:
        self._check_it_runs()
        # A refused connection costs a hundredth of a client of httpx.
        with contextlib.suppress(OSError):
            return all(map(self._listens, self._awaited())) and self.is_healthy()
        return False

    def _awaited(self) -> list[str]:
        """URLs of its listeners; the console is a process of its own, and may need longer."""
        return [self.url, self.console_url] if self.has_console else [self.url]

    def _listens(self, url: str) -> bool:
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port), timeout=PATIENCE_S):
            return True

    def wait_for_start(self) -> None:
        """Return once it answers, its console included."""
        wait_until(self._answers, "the interceptor answers")

    def health(self) -> Any:
        """What /health says."""
        return self._asked_for_health().json

    def _asked_for_health(self) -> raw.Answer:
        # Tests ask twenty times a second, and a client of httpx takes ten milliseconds to make.
        address = urlsplit(self.url)
        headers = [("Host", address.netloc), ("Connection", "close")]
        request = raw.request("GET", "/health", headers)
        return raw.exchange(self.port, request, address.hostname or "")

    def terminate(self) -> None:
        """Ask it to stop."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        assert self._process is not None
        try:
            return self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"it did not stop within {PATIENCE_S} s:\n{self.log}") from None

    def stop(self) -> None:
        """Stop it; a run that ends badly or logged a traceback is a failure."""
        if self._process is None or self._process.poll() is not None:
            status = self._process.returncode if self._process else 0
        else:
            self.terminate()
            status = self.wait()
        assert status == 0, f"exit status {status}:\n{self.log}"
        for name in ("output.log", "config/ccproxy.log"):
            path = self.folder / name
            assert not path.exists() or "Traceback" not in path.read_text(), path.read_text()

    def kill(self) -> None:
        """End it at once, whatever its state; for a test that failed."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def manage(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run another management command on the same configuration."""
        command = [*self.program, *arguments]
        if self.program == PROGRAM:
            return run_script(command, self.environ, self.cwd, stdin, timeout_s=2 * PATIENCE_S)
        return subprocess.run(
            command,
            cwd=self.cwd,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE_S,
            check=False,
        )

    def command(
        self, *arguments: str, stdin: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a management command in a fork of a process that has Django loaded.

        It takes a fifth of a process of its own, from the second call on.
        """
        # It runs no test, and needs Django when it is imported.
        from tests.e2e import steps

        status, output, errors = self.call(steps.run_command, arguments, stdin, environ)
        return subprocess.CompletedProcess(arguments, status, output, errors)

    def call[**P, T](self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of a function that ran on this configuration's database."""
        return call_elsewhere(function, self.environ, *args, **kwargs)

    def settle(self) -> None:
        """Return once the newest configuration runs."""
        newest = self.rows("select number from providers_configrevision")[0]["number"]
        wait_until(lambda: self.health()["revision"] >= newest, f"revision {newest} runs")

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of the database, read without disturbing the writer."""
        with contextlib.closing(
            sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=PATIENCE_S)
        ) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, values)]

    def keep_database(self, copy: Path) -> None:
        """Write a copy of the database to this path."""
        with (
            contextlib.closing(sqlite3.connect(self.database, timeout=PATIENCE_S)) as connection,
            contextlib.closing(sqlite3.connect(copy)) as kept,
        ):
            connection.backup(kept)

    def flows(self, where: str = "1", *values: Any) -> list[dict[str, Any]]:
        """Recorded flows, oldest first."""
        return self.rows(f"select * from flows_flow where {where} order by started_at, id", *values)

    def wait_for_flows(
        self, count: int, where: str = "1", *values: Any, timeout_s: float = PATIENCE_S
    ) -> list[dict[str, Any]]:
        """All finished flows, once there are `count`."""
        where = f"({where}) and state != 'live'"
        wait_until(
            lambda: len(self.flows(where, *values)) >= count,
            f"{count} flows are recorded",
            timeout_s,
        )
        return self.flows(where, *values)

    def flow(self, flow_id: str | None, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """One flow, once it is recorded as finished; its id is the answer's `x-ccproxy-flow`."""
        assert flow_id, "the answer names no flow"
        return self.wait_for_flows(1, "id=?", flow_id, timeout_s=timeout_s)[0]

    def sides(self, flow_id: str) -> dict[str, dict[str, Any]]:
        """The sides of a flow by name; headers as a list, with its stored `body`."""
        parts = self.rows("select headers, sides from flows_flowparts where flow_id=?", flow_id)
        sides = [
            side for row in parts for side in read_sides(row["headers"], row["sides"]).values()
        ]
        return {side.side: {**asdict(side), "body": self.body(side.body_digest)} for side in sides}

    def traces(self, flow_id: str) -> list[HookTrace]:
        """What each hook did to a flow, in order."""
        parts = self.rows("select headers, steps from flows_flowparts where flow_id=?", flow_id)
        return [trace for row in parts for trace in read_traces(row["headers"], row["steps"])]

    def body(self, digest: str | None) -> bytes:
        """A stored body as it was; empty when there is none."""
        rows = self.rows("select * from flows_flowbody where digest=?", digest) if digest else []
        if not rows:
            return b""
        return unpack(
            rows[0]["encoding"],
            rows[0]["size_bytes"],
            rows[0]["blob"],
            self.body(rows[0]["base_id"]),
        )

    def bodies(self) -> Iterator[bytes]:
        """Every stored body as it was."""
        return (self.body(row["digest"]) for row in self.rows("select digest from flows_flowbody"))


_NOT_PASSED_ON = {
    "DATABASE_URL",
    "REDIS_URL",
    "DJANGO_SETTINGS_MODULE",
    "http_proxy",
    "https_proxy",
    "all_proxy",
}


@contextlib.contextmanager
def running(interceptor: Interceptor) -> Iterator[Interceptor]:
    """The interceptor while it runs; its end is checked, unless the body failed already."""
    try:
        yield interceptor.start()
    except BaseException:
        print(interceptor.log)
        interceptor.kill()
        raise
    try:
        interceptor.stop()
    finally:
        interceptor.kill()


def _children(pid: int) -> list[int]:
    try:
        return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    except OSError:
        return []
