"""The vendors' command-line programs by way of the forward proxy, with a key of their own and with
a sentinel key.

They are large, so the usual suite leaves them out; `client_cases.py` says where they come from.

    CCPROXY_TEST_REAL_CLIENTS=/folder pytest tests/e2e/test_real_clients_forward.py
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from interceptor.wireguard.lease_client import take_forward_lease
from interceptor.wireguard.overrides import parse_overrides
from jail.ca_bundle import write_bundle
from jail.run.client_table import client_of
from jail.run.forward_variables import forward_variables
from tests.e2e.client_cases import (
    CASES,
    CLIENT_TIMEOUT_S,
    HEADERS,
    HOSTS,
    MARKS,
    OWN,
    program_of,
    search_path,
    sentinel,
    write_files,
)
from tests.fakes.certificates import make_authority
from tests.fakes.upstream import Script, Seen, Upstream
from tests.interceptor.proxied import (
    CA_DIR,
    KEY,
    Running,
    key_auth,
    provider,
    running_proxy,
    snapshot,
)

pytestmark = MARKS


@dataclass
class Bench:
    """The proxy, the scripted provider behind all names, and the folder of the run."""

    proxy: Running
    upstream: Upstream
    directory: Path


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("clients")
    authority = make_authority(directory, *HOSTS.values())
    config = snapshot(
        *(
            provider(name, 443, host=host, scheme="https", auth=key_auth(HEADERS.get(name, "")))
            for name, host in HOSTS.items()
        )
    )
    with Upstream(authority.server_context(["http/1.1"]), calls_tools=False) as upstream:
        upstream.scripts["/v1/responses"] = lambda seen: _responses(upstream, seen)
        overrides = parse_overrides({}, dict.fromkeys(HOSTS.values(), f"127.0.0.1:{upstream.port}"))
        with running_proxy(
            config,
            config_dir=directory,
            overrides=overrides,
            ssl_verify_upstream_trusted_ca=str(authority.ca_file),
        ) as proxy:
            yield Bench(proxy, upstream, directory)


def _responses(upstream: Upstream, seen: Seen) -> Script:
    """Codex asks for a websocket first, and goes on with requests after 426."""
    if seen.method == "GET":
        return Script(426, pieces=(b"{}",))
    return upstream.scripted_answer(seen)


@pytest.mark.parametrize("kind", ["own", "sentinel"])
@pytest.mark.parametrize("name", CASES)
def test_a_program_is_answered_and_recorded(
    bench: Bench, tmp_path: Path, name: str, kind: str
) -> None:
    case, program = CASES[name], program_of(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    key = OWN[case.provider] if kind == "own" else sentinel(case.provider)
    write_files(tmp_path, case, key)
    client = client_of(name)
    url, lease = take_forward_lease(
        bench.directory,
        label=f"{name}-{kind}",
        command=[name, *case.words],
        hosts=client.hosts if client else (),
        reads_all=False,
    )
    environ = {"PATH": search_path(program), "HOME": str(tmp_path)}
    if case.key:
        environ[case.key] = key
    bundle = write_bundle(tmp_path, CA_DIR, environ)
    environ |= {**forward_variables(url, bundle, environ), **case.variables}
    words = [word.replace("KEY", key) for word in case.words]
    bench.upstream.requests.clear()
    with lease:
        done = subprocess.run(
            [str(program), *words],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CLIENT_TIMEOUT_S,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = OWN[case.provider] if kind == "own" else KEY
    calls = [seen for seen in bench.upstream.requests if seen.method == "POST"]
    assert any(wanted in repr(seen.headers) for seen in calls)
    assert "ccproxy" not in "".join(seen.head.decode("latin-1") for seen in bench.upstream.requests)
    rows = [one for one in bench.proxy.sink.records if one.run_label == f"{name}-{kind}"]
    answered = [one for one in rows if one.method == "POST" and one.status_code == 200]
    assert answered and all(one.source == "forward" for one in rows)
