"""`ccproxy run -- CLIENT` with the vendors' own programs, their own key and a sentinel key.

They are large, so the usual suite leaves them out; see `client_cases.py` for the folders.

    CCPROXY_TEST_REAL_CLIENTS=/folder unshare -n sh -c 'ip link set lo up; pytest -n0 FILE'

`unshare -n` keeps their telemetry and their looks for updates on this machine.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from jail.run.client_table import client_of
from tests.calls import CCPROXY
from tests.e2e.client_cases import (
    CASES,
    CLIENT_TIMEOUT_S,
    HEADERS,
    HOSTS,
    MARKS,
    OWN,
    STORED,
    Case,
    program_of,
    search_path,
    sentinel,
    write_files,
)
from tests.e2e.process import Interceptor
from tests.fakes.certificates import make_authority
from tests.fakes.upstream import Script, Seen, Upstream

RUN = re.compile(r"/flows/\?run=([\w-]+)$")
SUMMARY = re.compile(r"ccproxy: \d+ requests?(, [\d.]+( k)? tokens in, \d+ out.*)?; see: http://")
TYPES = {"anthropic": "anthropic", "google": "google"}

pytestmark = MARKS


@dataclass
class Bench:
    """The interceptor, the scripted provider behind all names, and a folder."""

    interceptor: Interceptor
    vendor: Upstream
    ca_file: Path


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("run-clients")
    authority = make_authority(folder, *HOSTS.values())
    with Upstream(authority.server_context(["http/1.1"]), calls_tools=False) as vendor:
        vendor.scripts["/v1/responses"] = lambda seen: _responses(vendor, seen)
        vendor.scripts["/v1/chat/completions"] = lambda seen: _chat(vendor, seen)
        at = f"127.0.0.1:{vendor.port}"
        interceptor = Interceptor(
            folder,
            json.dumps({"providers": {name: _provider(name, folder) for name in HOSTS}}),
            CCPROXY_INSPECTOR__UPSTREAM_OVERRIDES=json.dumps(dict.fromkeys(HOSTS.values(), at)),
            CCPROXY_INSPECTOR__MITMPROXY__SSL_VERIFY_UPSTREAM_TRUSTED_CA=str(authority.ca_file),
        )
        try:
            yield Bench(interceptor.start(), vendor, authority.ca_file)
            interceptor.stop()
        finally:
            interceptor.kill()


def _provider(name: str, folder: Path) -> dict[str, Any]:
    key = folder / f"{name}-key"
    key.write_text(f"{STORED[name]}\n")
    paths = {"anthropic": "/v1/messages", "google": "/v1beta/models/{model}:{action}"}
    auth = {"type": "file", "file": str(key), "header": HEADERS.get(name, "authorization")}
    return {
        "type": TYPES.get(name, "openai"),
        "scheme": "https",
        "host": HOSTS[name],
        "path": paths.get(name, "/v1/chat/completions"),
        "native_formats": [] if name in TYPES else ["openai_chat", "openai_responses"],
        "auth": auth,
    }


def _responses(vendor: Upstream, seen: Seen) -> Script:
    """Codex asks for a websocket first, and goes on with requests after 426."""
    if seen.method == "GET":
        return Script(426, pieces=(b"{}",))
    return vendor.scripted_answer(seen)


def _chat(vendor: Upstream, seen: Seen) -> Script:
    """Mistral reports usage in its streams unasked."""
    body = seen.json
    if seen.header("host") == HOSTS["mistral"]:
        body["stream_options"] = {"include_usage": True}
    return vendor.scripted_answer(replace(seen, body=json.dumps(body).encode()))


def _run(
    bench: Bench, name: str, case: Case, key: str, home: Path
) -> subprocess.CompletedProcess[str]:
    program = program_of(name)
    assert program is not None
    write_files(home, case, key)
    environ = bench.interceptor.environ | case.variables
    environ |= {"PATH": search_path(program), "HOME": str(home)}
    # The user's machine trusts the scripted provider, as it does a company's own authority.
    environ["SSL_CERT_FILE"] = str(bench.ca_file)
    if case.key:
        environ[case.key] = key
    process = subprocess.Popen(
        [*CCPROXY, "run", "--", name, *(word.replace("KEY", key) for word in case.words)],
        cwd=home,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said = process.communicate(timeout=CLIENT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        # The client is a child of `ccproxy run` and would outlive it.
        os.killpg(process.pid, signal.SIGKILL)
        said = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, *said)


@pytest.mark.parametrize("kind", ["own", "sentinel"])
@pytest.mark.parametrize("name", CASES)
def test_a_client_is_answered_and_recorded(
    bench: Bench, tmp_path: Path, name: str, kind: str
) -> None:
    case, client = CASES[name], client_of(name)
    if program_of(name) is None:
        pytest.skip(f"{name} is not installed")
    assert client is not None
    key = OWN[case.provider] if kind == "own" else sentinel(case.provider)
    bench.vendor.requests.clear()
    done = _run(bench, name, case, key, tmp_path)
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said
    lines = [line for line in done.stderr.splitlines() if line.startswith("ccproxy: ")]
    assert len(lines) == 2 and "ccproxy: " not in done.stdout, said
    summary = SUMMARY.search(lines[1])
    assert summary and bool(summary[1]) == case.asks_for_tokens, said
    found = RUN.search(lines[0])
    assert found, said
    _check_provider(bench, case, kind, said)
    _check_record(bench, found[1], name, case)


def _check_provider(bench: Bench, case: Case, kind: str, said: str) -> None:
    """The provider got the right key with each request, and nothing of ours."""
    calls = [seen for seen in bench.vendor.requests if seen.method == "POST"]
    assert calls, said
    wanted = (OWN if kind == "own" else STORED)[case.provider]
    assert all(wanted in repr(seen.headers) for seen in calls)
    heads = "".join(seen.head.decode("latin-1") for seen in bench.vendor.requests)
    assert "ccproxy" not in heads.lower()


def _check_record(bench: Bench, run: str, name: str, case: Case) -> None:
    """The record has the command, the conversation and the tokens, and the client's own bytes."""
    rows = bench.interceptor.wait_for_flows(1, "run_label=? and method='POST'", run)
    answered = [row for row in rows if row["status_code"] == 200 and row["conversation_id"]]
    if case.asks_for_tokens:
        answered = [row for row in answered if row["output_tokens"]]
        assert all(row["input_tokens"] for row in answered)
    assert answered, rows
    sent = [seen.body for seen in bench.vendor.requests]
    for row in answered:
        assert name in row["run_command"]
        body = bench.interceptor.sides(row["id"])["client"]["body"]
        assert body in sent or row["redacted"], row
