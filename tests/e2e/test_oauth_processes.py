"""One login, many processes: it is renewed once, and whoever is killed at it leaves something
usable.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.e2e.process import ROOT, Interceptor, running
from tests.fakes.postgres import postgres
from tests.fakes.token_endpoint import TokenEndpoint
from tests.fakes.upstream import Script, Seen, Upstream
from tests.patience import PATIENCE_S
from tests.ports import free_port

PAUSE_S = 0.02
"""Between two requests while the login is renewed, which takes longer."""
ASK = {"model": "demo", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
DENIED = Script(
    401, pieces=(b'{"type":"error","error":{"type":"authentication_error","message":"no"}}',)
)


class Site:
    """Several interceptors on one configuration and database, an endpoint, and a provider that
    checks tokens.
    """

    def __init__(self, folder: Path, endpoint: TokenEndpoint, upstream: Upstream) -> None:
        self.folder, self.endpoint, self.upstream = folder, endpoint, upstream
        self.file = folder / "login.json"
        self.processes: list[Interceptor] = []
        upstream.scripts["/v1/messages"] = self.checked
        self.config = f"""
providers:
  claude:
    type: anthropic
    scheme: http
    host: 127.0.0.1
    port: {upstream.port}
    path: /v1/messages
    auth: {{type: anthropic_oauth, file_path: {self.file}, endpoint: "{endpoint.url}"}}
"""

    def checked(self, seen: Seen) -> Script:
        good = self.endpoint.is_good(seen.header("authorization"))
        return self.upstream.scripted_answer(seen) if good else DENIED

    def login(self) -> None:
        access, refresh = self.endpoint.issue()
        tokens = {
            "access_token": access,
            "refresh_token": refresh,
            "expires_at": (time.time() + 9999) * 1000,
        }
        self.file.write_text(json.dumps(tokens))

    def made(self, **environ: str) -> Interceptor:
        """Another interceptor on this configuration, not started."""
        return Interceptor(self.folder, self.config, "--no-console", **environ)

    def add(self, stack: ExitStack, processes: Sequence[Interceptor]) -> None:
        """Start interceptors: the first one makes the database, the others start together."""
        first, *others = processes
        stack.enter_context(running(first))
        with ThreadPoolExecutor() as pool:
            started = [pool.submit(stack.enter_context, running(other)) for other in others]
        for one in started:
            one.result()
        self.processes += processes

    def post_at_once(self, count: int, processes: Sequence[Interceptor]) -> list[int]:
        """Statuses of requests that start at the same moment, spread over the processes."""
        barrier = threading.Barrier(count)

        def one(number: int) -> int:
            barrier.wait(PATIENCE_S)
            return post(processes[number % len(processes)]).status_code

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))


def post(process: Interceptor) -> httpx.Response:
    headers = {"x-api-key": "sk-ccproxy-claude"}
    url = f"{process.url}/v1/messages"
    return httpx.post(url, json=ASK, headers=headers, timeout=PATIENCE_S, trust_env=False)


@contextmanager
def new_site(folder: Path) -> Iterator[Site]:
    with TokenEndpoint() as endpoint, Upstream() as upstream:
        made = Site(folder, endpoint, upstream)
        made.login()
        yield made


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server's first database."""
    with postgres(free_port(), has_tables=True) as url:
        yield url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fleet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Three processes on one configuration and one database of this kind."""
    environ: dict[str, str] = {}
    if request.param == "postgresql":
        environ["DATABASE_URL"] = request.getfixturevalue("server")
    with new_site(tmp_path_factory.mktemp(request.param)) as site, ExitStack() as stack:
        site.add(stack, [site.made(**environ) for _ in range(3)])
        yield site


@pytest.fixture
def site(fleet: Site) -> Site:
    """The processes with a fresh login, which all of them hold in their caches."""
    fleet.login()
    assert [post(process).status_code for process in fleet.processes] == [200] * 3
    fleet.endpoint.requests.clear()
    fleet.endpoint.refused.clear()
    return fleet


on_sqlite = pytest.mark.parametrize("fleet", ["sqlite"], indirect=True)


@pytest.mark.parametrize("count", [1, 3])
def test_a_hundred_401s_renew_once(site: Site, count: int) -> None:
    site.endpoint.revoke_access()
    assert site.post_at_once(100, site.processes[:count]) == [200] * 100
    assert len(site.endpoint.requests) == 1
    assert site.endpoint.refused == []
    content = json.loads(site.file.read_text())
    assert site.endpoint.is_good(content["access_token"])
    assert site.file.stat().st_mode & 0o777 == 0o600


@on_sqlite
def test_the_database_holds_no_token(site: Site) -> None:
    site.endpoint.revoke_access()
    assert post(site.processes[0]).status_code == 200
    row = site.processes[0].rows("select * from providers_credentialstate")[0]
    content = json.loads(site.file.read_text())
    assert content["access_token"] not in str(row)
    assert content["refresh_token"] not in str(row)


def test_machines_that_share_postgresql_follow_each_other(server: str, tmp_path: Path) -> None:
    """Two machines: each with a file of its own at the same path of its home, one database, one
    key.
    """
    with psycopg.connect(server, autocommit=True) as connection:
        # An empty one: the first machine makes the tables.
        connection.execute("create database machines template template0")
    url = server.rpartition("/")[0] + "/machines"
    homes = [tmp_path / "one", tmp_path / "two"]
    with new_site(tmp_path) as site, ExitStack() as stack:
        for home in homes:
            home.mkdir()
            (home / "login.json").write_bytes(site.file.read_bytes())
        site.config = site.config.replace(str(site.file), "~/login.json")
        site.add(stack, [site.made(DATABASE_URL=url, HOME=str(home)) for home in homes])
        assert [post(process).status_code for process in site.processes] == [200, 200]
        for _ in range(2):
            site.endpoint.revoke_access()
            assert site.post_at_once(20, site.processes) == [200] * 20
        assert len(site.endpoint.requests) == 2
        assert site.endpoint.refused == []
    first, second = (json.loads((home / "login.json").read_text()) for home in homes)
    assert first["access_token"] == second["access_token"]


@on_sqlite
@pytest.mark.parametrize("step", ["before send", "after answer"])
def test_a_refresher_that_is_killed_does_not_stop_the_others(site: Site, step: str) -> None:
    victim = site.made().start()
    exchange = site.endpoint._exchange

    def kill(fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        answer = (0, {}) if step == "before send" else exchange(fields)
        os.kill(victim.proxy_pid, signal.SIGKILL)
        return answer

    try:
        assert post(victim).status_code == 200
        site.endpoint.revoke_access()
        site.endpoint._exchange = kill  # type: ignore[method-assign]
        with pytest.raises(httpx.HTTPError):
            post(victim)
    finally:
        site.endpoint._exchange = exchange  # type: ignore[method-assign]
        victim.kill()
    answer = post(site.processes[0])
    if step == "before send":
        assert answer.status_code == 200
    else:
        assert answer.status_code == 401
        assert "log in again" in answer.headers["x-ccproxy-hint"]
        site.login()
        assert post(site.processes[0]).status_code == 200


@on_sqlite
def test_the_vendors_own_program_at_the_same_file(site: Site) -> None:
    """It renews at random times without any lock, which makes the token before void at once."""
    renewals, seed = os.environ.get("CCPROXY_TEST_VENDOR_RENEWALS", "8"), str(random.random())
    print("seed", seed)
    program = [sys.executable, "-m", "tests.e2e.vendor_program"]
    vendor = subprocess.Popen(
        [*program, str(site.file), site.endpoint.url, renewals, seed], cwd=ROOT
    )
    statuses: list[int] = []
    for process in cycle(site.processes):
        if vendor.poll() is not None:
            break
        statuses.append(post(process).status_code)
        # Without a pause the vendor's program waits for the CPU that this takes.
        time.sleep(PAUSE_S)
    assert vendor.returncode == 0
    assert site.endpoint.refused == []
    # A request is sent again once; a program that renews twice in that moment can still show
    # through.
    assert set(statuses) <= {200, 401} and statuses.count(401) <= 1 + len(statuses) // 50
    assert len(site.endpoint.requests) >= int(renewals)
