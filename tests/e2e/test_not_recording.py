"""That flows are not stored is said where people look, without the database."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import config_for
from tests.e2e.console import Console
from tests.e2e.locked import locked
from tests.e2e.process import Interceptor, running, wait_until
from tests.fakes.upstream import Script, Upstream
from tests.patience import PATIENCE_S

HEADER = "x-ccproxy-recording"
BANNER = 'id="recording-notice"'
AWAY = "the database does not take flows"


@pytest.fixture(scope="module")
def site(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("not-recording")
    asked = {"CCPROXY_FLOWS__NOT_RECORDED_HEADER": "true"}
    with running(Interceptor(folder, config_for(upstream, folder), **asked)) as process:
        yield process


def ask(site: Interceptor) -> httpx.Response:
    body = {"model": "demo", "max_tokens": 9, "messages": []}
    headers = {"x-api-key": "sk-ccproxy-up"}
    reply = httpx.post(f"{site.url}/v1/messages", json=body, headers=headers, trust_env=False)
    assert reply.status_code == 200
    return reply


def test_it_is_said_while_the_database_is_locked(site: Interceptor) -> None:
    assert HEADER not in ask(site).headers
    assert site.health()["status"] == "ok"
    nothing = {"links": 0, "search": 0}
    wait_until(lambda: site.health().get("waiting") == nothing, "the flow is linked and indexed")
    with Console(site) as console:
        assert BANNER not in console.pages.get("/flows/").text
        with locked(site.database):
            flow_id = ask(site).headers["x-ccproxy-flow"]
            wait_until(lambda: site.health()["status"] == "degraded", "the proxy knows it")
            assert site.health()["recording"].startswith(AWAY)
            assert ask(site).headers[HEADER] == "no"
            for page in ("/flows/", "/admin/", "/admin/login/", "/usage/", "/flows/nowhere/"):
                shown = console.pages.get(page)
                assert BANNER in shown.text, (page, shown.status_code, shown.text[:300])
                assert AWAY in shown.text
            status = site.command("interceptorstatus", "--json")
            assert json.loads(status.stdout)["recording"].startswith(AWAY), status.stderr
            assert f"no: {AWAY}" in site.command("interceptorstatus").stdout
            assert site.log.count(f"not recording: {AWAY}") == 1
        assert site.flow(flow_id)["state"] == "done"
        wait_until(lambda: site.health()["status"] == "ok", "the proxy knows that it is over")
        assert "recording" not in site.health()
        assert HEADER not in ask(site).headers
        assert BANNER not in console.pages.get("/flows/").text
        assert "recording again" in site.log


def test_it_is_said_while_there_is_no_recorder(site: Interceptor) -> None:
    with Console(site) as console:
        os.kill(site.recorder_pid, signal.SIGSTOP)
        os.kill(site.recorder_pid, signal.SIGKILL)
        wait_until(lambda: site.health()["status"] == "degraded", "the proxy knows it")
        wait_until(lambda: site.health()["status"] == "ok", "the next recorder is there")
        wait_until(
            lambda: BANNER not in console.pages.get("/flows/").text, "the console knows it too"
        )
    assert site.flow(ask(site).headers["x-ccproxy-flow"])["state"] == "done"
    wait_until(lambda: "waiting" in site.health(), "the next recorder has counted")
    # A quick start leaves no time for the line of an interruption that lasts.
    assert "the recorder ended with -9 and is started again" in site.log


def test_a_flow_whose_proxy_died_meanwhile_is_ended(site: Interceptor, upstream: Upstream) -> None:
    may_answer = threading.Event()
    held = iter([Script(gate=may_answer)])
    upstream.scripts["/v1/messages"] = lambda _: next(held, Script())
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, site)
        wait_until(lambda: site.flows("state='live'"), "it runs")
        with locked(site.database):
            ask(site)
            wait_until(lambda: site.health()["status"] == "degraded", "the proxy knows it")
            gone = site.proxy_pid
            os.kill(gone, signal.SIGKILL)
            assert isinstance(asked.exception(PATIENCE_S), httpx.HTTPError)
            may_answer.set()
            wait_until(lambda: site.proxies - {gone}, "it has a successor")
        wait_until(lambda: not site.flows("state='live'"), "it is ended")
    assert [flow["state"] for flow in site.flows()[-2:]] == ["error", "done"]


def test_what_waits_at_the_stop_is_stored_by_the_next_start(
    upstream: Upstream, tmp_path: Path
) -> None:
    site = Interceptor(tmp_path, config_for(upstream, tmp_path), "--no-console").start()
    with locked(site.database):
        ids = [ask(site).headers["x-ccproxy-flow"] for _ in range(5)]
        site.terminate()
        assert site.wait() == 0
        assert site.flows() == []
    folder = site.config_dir / "spool"
    files = list(folder.iterdir())
    assert files
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    with running(site):
        for flow_id in ids:
            assert site.flow(flow_id)["state"] == "done"
            assert site.sides(flow_id)["delivered"]["body"]
        wait_until(lambda: list(folder.iterdir()) == [], "the spool is empty")
