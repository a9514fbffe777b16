"""`runinterceptor --workers 2`: one port, two proxies, one console; nothing is lost when one of
them dies.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e import raw
from tests.e2e.conftest import REAL_KEY, config_for
from tests.e2e.console import Console
from tests.e2e.process import Interceptor, running, wait_until
from tests.e2e.test_stream import BODY, ask, delta
from tests.e2e.watcher import watching
from tests.fakes.upstream import Upstream, sse
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def site(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("workers")
    with running(Interceptor(folder, config_for(upstream, folder), "--workers", "2")) as process:
        yield process


@pytest.fixture(autouse=True)
def buffered(upstream: Upstream) -> None:
    upstream.scripts.clear()


def pid_of(flow: dict[str, object]) -> int:
    return int(str(flow["instance"]).rpartition(":")[2])


def running_flow(site: Interceptor) -> dict[str, object]:
    return wait_until(lambda: site.flows("state = 'live'"), "a flow is under way")[-1]


def post(site: Interceptor, count: int) -> list[httpx.Response]:
    """`count` requests over a connection each, 16 at a time."""

    def one(_: int) -> httpx.Response:
        return httpx.post(
            f"{site.url}/v1/messages",
            content=BODY,
            headers=_HEADERS,
            trust_env=False,
            timeout=PATIENCE_S,
        )

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(one, range(count)))


_HEADERS = {"x-api-key": "sk-ccproxy-up", "content-type": "application/json"}


def test_both_work_and_every_flow_is_recorded_once(site: Interceptor) -> None:
    answers = post(site, 200)
    assert [answer.status_code for answer in answers] == [200] * 200
    ids = {answer.headers["x-ccproxy-flow"] for answer in answers}
    assert len(ids) == 200
    flows = site.wait_for_flows(200, "state = 'done'")
    assert {flow["id"] for flow in flows} >= ids
    assert {pid_of(flow) for flow in flows} == site.proxies


def test_pages_of_the_parent_see_the_streams_of_the_workers(
    site: Interceptor, upstream: Upstream
) -> None:
    with Console(site) as console:
        seen: set[int] = set()
        while seen != site.proxies:
            gate = threading.Event()
            upstream.scripts["/v1/messages"] = sse(delta(1), delta(2), delta(3), gate=gate)
            with raw.connection(site.port) as client:
                client.sendall(ask(site.port))
                flow = running_flow(site)
                with watching(console, str(flow["id"])) as page:
                    page.until("piece 1 piece 2 ")
                    gate.set()
                    page.until("piece 3 ")
                assert raw.read_answer(client).complete
            seen.add(pid_of(site.wait_for_flows(1, "id = ? and state = 'done'", flow["id"])[-1]))


def test_an_edit_reaches_both(site: Interceptor, upstream: Upstream) -> None:
    provider = {
        "name": "late",
        "type": "anthropic",
        "scheme": "http",
        "host": "127.0.0.1",
        "path": "/v1/messages",
    }
    with Console(site) as console:
        console.post(
            "/api/providers/",
            {**provider, "port": upstream.port, "auth_type": "key", "secret": REAL_KEY},
            201,
        )
        (revision,) = site.rows("select number from providers_configrevision")

        def both_run_it() -> bool:
            rows = site.rows("select instance, revision from interceptor_interceptorstatus")
            return {row["revision"] for row in rows} == {revision["number"]} and len(rows) == 2

        wait_until(both_run_it, "both workers run the new revision")
    headers = {**_HEADERS, "x-api-key": "sk-ccproxy-late"}
    for _ in range(8):
        assert (
            httpx.post(
                f"{site.url}/v1/messages", content=BODY, headers=headers, trust_env=False
            ).status_code
            == 200
        )


def test_a_killed_worker_is_replaced_and_its_flow_ends(
    site: Interceptor, upstream: Upstream
) -> None:
    # A request of the test before would be taken for the one that is killed.
    wait_until(lambda: not site.flows("state = 'live'"), "earlier flows have ended")
    gate = threading.Event()
    upstream.scripts["/v1/messages"] = sse(delta(1), delta(2), gate=gate)
    before = site.proxies
    with raw.connection(site.port) as client:
        client.sendall(ask(site.port))
        flow = running_flow(site)
        os.kill(pid_of(flow), signal.SIGKILL)
        wait_until(lambda: len(site.proxies - before) == 1, "another worker runs")
    gate.set()
    ended = site.wait_for_flows(1, "id = ? and state = 'error'", flow["id"])[-1]
    assert ended["error"] == "The proxy stopped while this flow was running."
    upstream.scripts.clear()
    assert {answer.status_code for answer in post(site, 32)} == {200}
    wait_until(
        lambda: set(map(pid_of, site.flows())) >= site.proxies or not post(site, 8),
        "the new one works too",
    )


def test_a_stop_lets_streams_end_and_an_orphan_ends_by_itself(
    upstream: Upstream, tmp_path: Path
) -> None:
    site = Interceptor(
        tmp_path, config_for(upstream, tmp_path), "--no-console", "--workers", "2"
    ).start()
    gate = threading.Event()
    upstream.scripts["/v1/messages"] = sse(delta(1), delta(2), gate=gate)
    with raw.connection(site.port) as client:
        client.sendall(ask(site.port))
        wait_until(lambda: site.flows("state = 'live'"), "the stream runs")
        site.terminate()
        wait_until(lambda: refused(site.port), "nothing accepts any more")
        gate.set()
        assert raw.read_answer(client).body == delta(1) + delta(2)
    assert site.wait() == 0
    site.start()
    orphans = site.proxies
    site.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans), "the workers end")
    assert refused(site.port)


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
