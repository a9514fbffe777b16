"""The deployment of a team: interceptors, console and task worker as processes of their own,
PostgreSQL and Redis.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from flows.sides import read_sides
from tests.e2e import raw, steps
from tests.e2e.console import Console
from tests.e2e.process import ROOT, Interceptor, running, wait_until
from tests.e2e.test_stream import BODY, delta
from tests.e2e.watcher import watching
from tests.fakes.postgres import postgres
from tests.fakes.redis import redis
from tests.fakes.token_endpoint import TokenEndpoint
from tests.fakes.upstream import Script, Seen, Upstream, sse
from tests.patience import PATIENCE_S
from tests.ports import free_port
from tests.warm.starter import start_script

pytestmark = pytest.mark.e2e

LIFETIME_S = 3600.0
ANSWER = Script(
    pieces=(
        b'{"id":"msg_1","type":"message","role":"assistant","model":"demo","content":[{"type":"text","text":"Hi"}],'
        b'"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":1}}',
    )
)


class Site:
    """Two interceptors with a config directory each, as on two machines that share the key file and
    the login.
    """

    def __init__(
        self, folder: Path, endpoint: TokenEndpoint, upstream: Upstream, environ: dict[str, str]
    ) -> None:
        self.endpoint, self.upstream, self.environ = endpoint, upstream, environ
        self.folder, self.file = folder, folder / "login.json"
        self.machines: list[Interceptor] = []
        upstream.scripts = dict.fromkeys(("/v1/messages", "/elsewhere"), self.answer)
        self.stream: Script | None = None

    def answer(self, seen: Seen) -> Script:
        if not self.endpoint.is_good(seen.header("authorization")):
            return Script(401, pieces=(b"{}",))
        return self.stream or ANSWER

    def config(self) -> str:
        return f"""
providers:
  claude:
    type: anthropic
    scheme: http
    host: 127.0.0.1
    port: {self.upstream.port}
    path: /v1/messages
    native_formats: []
    auth: {{type: anthropic_oauth, file_path: {self.file}, endpoint: "{self.endpoint.url}"}}
"""

    def login(self, left_s: float) -> None:
        access, refresh = self.endpoint.issue()
        tokens = {
            "access_token": access,
            "refresh_token": refresh,
            "expires_at": (time.time() + left_s) * 1000,
        }
        self.file.write_text(json.dumps(tokens))

    def machine(self, name: str) -> Interceptor:
        """One more interceptor; all but the first get the first one's key files."""
        folder = self.folder / name
        folder.mkdir()
        made = Interceptor(
            folder, "" if self.machines else self.config(), "--no-console", **self.environ
        )
        if self.machines:
            for key in ("secret.key", "django.key"):
                target = made.config_dir / key
                target.write_bytes((self.machines[0].config_dir / key).read_bytes())
                target.chmod(0o600)
        self.machines.append(made)
        return made

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.environ["DATABASE_URL"], row_factory=dict_row) as connection:
            return connection.execute(sql.encode(), values).fetchall()

    def running_flow(self) -> dict[str, Any]:
        return wait_until(
            lambda: self.rows("select * from flows_flow where state='live'"), "a flow is under way"
        )[-1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("split")
    with ExitStack() as stack:
        urls = {
            "DATABASE_URL": stack.enter_context(postgres(free_port(), has_tables=True)),
            "REDIS_URL": stack.enter_context(redis(free_port())),
        }
        made = Site(
            folder, stack.enter_context(TokenEndpoint()), stack.enter_context(Upstream()), urls
        )
        made.login(LIFETIME_S)
        for name in ("first", "second"):
            stack.enter_context(running(made.machine(name)))
        stack.enter_context(console_process(made))
        yield made


@contextlib.contextmanager
def process(machine: Interceptor, log: Path, *command: str) -> Iterator[None]:
    """A program beside an interceptor, with its environment; it ends well when it is told to."""
    with log.open("wb") as output, Path(os.devnull).open("rb") as nothing:
        made = start_script(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=machine.environ,
            files=(nothing.fileno(), output.fileno(), output.fileno()),
        )
        try:
            yield
        finally:
            ended = made.poll()
            made.terminate()
            made.wait(PATIENCE_S)
            assert ended is None, f"{command[0]} ended with {ended}:\n{log.read_text()}"


@contextlib.contextmanager
def console_process(site: Site) -> Iterator[None]:
    machine = site.machines[0]
    command = [
        "daphne",
        "-b",
        "127.0.0.1",
        "-p",
        str(machine.console_port),
        "ccproxy_site.asgi:application",
    ]
    with process(machine, site.folder / "daphne.log", *command):
        wait_until(lambda: listens(machine.console_url), "the console answers")
        yield


def listens(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, trust_env=False).status_code < 500
    return False


def ask(machine: Interceptor) -> httpx.Response:
    headers = {"x-api-key": "sk-ccproxy-claude", "content-type": "application/json"}
    return httpx.post(
        f"{machine.url}/v1/messages",
        content=BODY,
        headers=headers,
        trust_env=False,
        timeout=PATIENCE_S,
    )


def test_every_flow_of_both_is_recorded_once(site: Site) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: ask(site.machines[number % 2]), range(100)))
    assert {answer.status_code for answer in answers} == {200}
    ids = {answer.headers["x-ccproxy-flow"] for answer in answers}

    def recorded() -> list[dict[str, Any]]:
        return site.rows("select id, instance from flows_flow where state='done'")

    wait_until(lambda: len(recorded()) >= 100, "all are recorded")
    assert sorted(row["id"] for row in recorded()) == sorted(ids)
    assert {row["instance"].rpartition(":")[2] for row in recorded()} == {
        str(one.proxy_pid) for one in site.machines
    }
    parts = site.rows(
        "select headers, sides from flows_flowparts where flow_id = any(%s)", list(ids)
    )
    assert sum(len(read_sides(row["headers"], row["sides"])) for row in parts) == 400
    used = site.rows("select sum(requests) from flows_usagedaily")
    assert used[0]["sum"] == 100


def test_the_console_sees_streams_of_both_over_redis(site: Site) -> None:
    with Console(site.machines[0]) as console:
        for machine in site.machines:
            gate = threading.Event()
            site.stream = sse(delta(1), delta(2), delta(3), gate=gate)
            head = [
                ("Host", "127.0.0.1"),
                ("x-api-key", "sk-ccproxy-claude"),
                ("Content-Length", str(len(BODY))),
            ]
            with raw.connection(machine.port) as client:
                client.sendall(raw.request("POST", "/v1/messages", head, BODY))
                flow = site.running_flow()
                assert flow["instance"].endswith(f":{machine.proxy_pid}")
                with watching(console, flow["id"]) as page:
                    page.until("piece 1 piece 2 ")
                    gate.set()
                    page.until("piece 3 ")
                assert raw.read_answer(client).complete
            wait_until(
                lambda: not site.rows("select 1 from flows_flow where state='live'"),
                "it is recorded",
            )
    site.stream = None


def _runs(machine: Interceptor, revision: int) -> bool:
    return bool(machine.health()["revision"] == revision)


def test_an_edit_reaches_both(site: Site) -> None:
    with Console(site.machines[0]) as console:
        console.patch("/api/providers/claude/", {"headers": {"x-edited": "yes"}}, 200)
        (newest,) = site.rows("select number from providers_configrevision")
        for machine in site.machines:
            wait_until(partial(_runs, machine, newest["number"]), "the edit runs")
            assert ask(machine).status_code == 200
            assert ("x-edited", "yes") in site.upstream.last.headers
        console.patch("/api/providers/claude/", {"headers": {}}, 200)


def test_the_task_worker_renews_a_login_once_for_all(site: Site) -> None:
    before = len(site.endpoint.requests)
    site.login(30)  # seconds: due at once
    worker = ["celery", "-A", "ccproxy_site.celery", "worker", "--beat", "--pool", "solo"]
    schedule = ["-s", str(site.folder / "beat"), "--loglevel", "INFO"]
    with process(site.machines[0], site.folder / "celery.log", *worker, *schedule):
        wait_until(
            lambda: "ready." in (site.folder / "celery.log").read_text(), "the task worker runs"
        )
        site.machines[0].call(steps.order_renewal)
        wait_until(lambda: len(site.endpoint.requests) > before, "the login is renewed")
        site.machines[0].call(steps.order_renewal)
        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(lambda number: ask(site.machines[number % 2]).status_code, range(32))
            )
    assert set(answers) == {200}
    assert len(site.endpoint.requests) == before + 1
    assert site.endpoint.refused == []


def test_the_task_worker_sends_a_request_again(site: Site) -> None:
    site.login(LIFETIME_S)
    original = ask(site.machines[0]).headers["x-ccproxy-flow"]
    wait_until(
        lambda: site.rows("select 1 from flows_flow where id=%s and state='done'", original),
        "it is recorded",
    )
    log = site.folder / "sender.log"
    worker = ["celery", "-A", "ccproxy_site.celery", "worker", "--pool", "threads"]
    with Console(site.machines[0]) as console:
        # Nobody takes tasks yet: the console's process sends it itself.
        here = console.post(f"/api/flows/{original}/resend/", {}, 202)
        with process(site.machines[0], log, *worker, "--concurrency", "4", "--loglevel", "INFO"):
            wait_until(lambda: "ready." in log.read_text(), "the task worker runs")
            there = console.post(f"/api/flows/{original}/resend/", {}, 202)
            wait_until(lambda: "succeeded" in log.read_text(), "the worker has sent it")
    assert here["flow"] and there["flow"] and here["flow"] != there["flow"]
    assert log.read_text().count("Task interceptor.deliver") == 2  # received, succeeded
    wait_until(
        lambda: not site.rows("select 1 from providers_auditentry where outcome='begun'"),
        "both are settled",
    )
    rows = site.rows(
        "select outcome, detail from providers_auditentry where action='replay' order by id"
    )
    assert [row["outcome"] for row in rows] == ["done", "done"]
    assert there["flow"] in rows[-1]["detail"]
