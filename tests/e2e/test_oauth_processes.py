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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.process import ROOT, Interceptor, free_port, running
from tests.fakes.postgres import postgres
from tests.fakes.token_endpoint import TokenEndpoint
from tests.fakes.upstream import Script, Seen, Upstream

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

    def start(self, stack: ExitStack, count: int, **environ: str) -> None:
        for _ in range(count):
            made = Interceptor(self.folder, self.config, "--no-console", **environ)
            self.processes.append(stack.enter_context(running(made)))

    def post(self, number: int = 0) -> httpx.Response:
        headers = {"x-api-key": "sk-ccproxy-claude"}
        url = f"{self.processes[number % len(self.processes)].url}/v1/messages"
        return httpx.post(url, json=ASK, headers=headers, timeout=60, trust_env=False)

    def post_at_once(self, count: int) -> list[int]:
        barrier = threading.Barrier(count)

        def one(number: int) -> int:
            barrier.wait(60)
            return self.post(number).status_code

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with TokenEndpoint() as endpoint, Upstream() as upstream:
        made = Site(tmp_path, endpoint, upstream)
        made.login()
        yield made


def check_hundred(site: Site) -> None:
    """Every process holds the token that becomes void, in its cache."""
    assert [site.post(n).status_code for n in range(len(site.processes))] == [200] * len(
        site.processes
    )
    site.endpoint.revoke_access()
    assert site.post_at_once(100) == [200] * 100
    assert len(site.endpoint.requests) == 1
    assert site.endpoint.refused == []
    content = json.loads(site.file.read_text())
    assert site.endpoint.is_good(content["access_token"])
    assert site.file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("count", [1, 3])
def test_a_hundred_401s_renew_once_on_sqlite(site: Site, count: int) -> None:
    with ExitStack() as stack:
        site.start(stack, count)
        check_hundred(site)
        row = site.processes[0].rows("select * from providers_credentialstate")[0]
        content = json.loads(site.file.read_text())
        assert content["access_token"] not in str(row)
        assert content["refresh_token"] not in str(row)


@pytest.mark.parametrize("count", [1, 3])
def test_a_hundred_401s_renew_once_on_postgresql(site: Site, count: int) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(postgres(free_port()))
        site.start(stack, count, DATABASE_URL=url)
        check_hundred(site)


def test_machines_that_share_postgresql_follow_each_other(site: Site, tmp_path: Path) -> None:
    """Two machines: each with a file of its own at the same path of its home, one database, one
    key.
    """
    site.config = site.config.replace(str(site.file), "~/login.json")
    homes = [tmp_path / "one", tmp_path / "two"]
    with ExitStack() as stack:
        url = stack.enter_context(postgres(free_port()))
        for home in homes:
            home.mkdir()
            (home / "login.json").write_bytes(site.file.read_bytes())
            site.start(stack, 1, DATABASE_URL=url, HOME=str(home))
        assert [site.post(n).status_code for n in (0, 1)] == [200, 200]
        for _ in range(2):
            site.endpoint.revoke_access()
            assert site.post_at_once(20) == [200] * 20
    assert len(site.endpoint.requests) == 2
    assert site.endpoint.refused == []
    first, second = (json.loads((home / "login.json").read_text()) for home in homes)
    assert first["access_token"] == second["access_token"]


@pytest.mark.parametrize("step", ["before send", "after answer"])
def test_a_refresher_that_is_killed_does_not_stop_the_others(site: Site, step: str) -> None:
    with ExitStack() as stack:
        site.start(stack, 1)
        victim = Interceptor(site.folder, site.config, "--no-console").start()
        stack.callback(victim.kill)
        site.processes.append(victim)
        assert [site.post(n).status_code for n in (0, 1)] == [200, 200]
        site.endpoint.revoke_access()
        exchange = site.endpoint._exchange

        def kill(fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            answer = (0, {}) if step == "before send" else exchange(fields)
            os.kill(victim.pid, signal.SIGKILL)
            return answer

        site.endpoint._exchange = kill  # type: ignore[method-assign]
        with pytest.raises(httpx.HTTPError):
            site.post(1)
        site.endpoint._exchange = exchange  # type: ignore[method-assign]
        answer = site.post(0)
        if step == "before send":
            assert answer.status_code == 200
        else:
            assert answer.status_code == 401
            assert "log in again" in answer.headers["x-ccproxy-hint"]
            site.login()
            assert site.post(0).status_code == 200


def test_the_vendors_own_program_at_the_same_file(site: Site) -> None:
    """It renews at random times without any lock, which makes the token before void at once."""
    seconds, seed = float(os.environ.get("CCPROXY_TEST_VENDOR_SECONDS", "10")), str(random.random())
    print("seed", seed)
    with ExitStack() as stack:
        site.start(stack, 2)
        arguments = [
            sys.executable,
            "-m",
            "tests.e2e.vendor_program",
            str(site.file),
            site.endpoint.url,
            str(seconds),
            seed,
        ]
        vendor = subprocess.Popen(arguments, cwd=ROOT)
        statuses: list[int] = []
        while vendor.poll() is None:
            statuses.append(site.post(len(statuses)).status_code)
        assert vendor.returncode == 0
    assert site.endpoint.refused == []
    # A request is sent again once; a program that renews twice in that moment can still show
    # through.
    assert set(statuses) <= {200, 401} and statuses.count(401) <= 1 + len(statuses) // 50
    assert len(site.endpoint.requests) > 5
