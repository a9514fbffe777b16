"""`ccproxy run` where nothing runs: it starts an interceptor, which ends with its last run."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

from flows.figures.run_sums import RunSums
from interceptor.config.files.server import ServerSettings
from interceptor.operate.command_settings import settings_for_commands
from interceptor.operate.liveness import is_ccproxy, is_listening
from jail.run.found_interceptor import free_ports
from jail.run.keeper import keep
from jail.run.run_totals import sentence
from providers.base.file_lock import FileLock
from tests.fakes.certificates import make_authority
from tests.fakes.upstream import Upstream
from tests.patience import PATIENCE_S

OWN = "sk-ant-own-3c9a77e1b2d4f6089a5c"
BODY = b'{"model":"claude-haiku-4-5",  "max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
AGENT = f"""
import os, sys, urllib.request
url = os.environ["ANTHROPIC_BASE_URL"]
request = urllib.request.Request(url + "/v1/messages?beta=true", {BODY!r}, {{
    "x-api-key": os.environ["ANTHROPIC_API_KEY"], "anthropic-version": "2023-06-01",
    "content-type": "application/json", "user-agent": "an-agent/1"}})
with urllib.request.urlopen(request) as response:
    response.read()
print(url)
sys.exit(4)
"""


def test_an_agent_with_its_own_key_is_seen_on_a_fresh_account(
    ccproxy, listener: socket.socket, tmp_path: Path
) -> None:
    authority = make_authority(tmp_path, "api.anthropic.com")
    taken = str(listener.getsockname()[1])
    with Upstream(authority.server_context(["http/1.1"])) as vendor:
        overrides = {"api.anthropic.com": f"127.0.0.1:{vendor.port}"}
        done = ccproxy(
            "run", "--", sys.executable, "-c", AGENT,
            ANTHROPIC_API_KEY=OWN,
            CCPROXY_PORT=taken,
            CCPROXY_INSPECTOR__UPSTREAM_OVERRIDES=json.dumps(overrides),
            CCPROXY_INSPECTOR__MITMPROXY__SSL_VERIFY_UPSTREAM_TRUSTED_CA=str(authority.ca_file),
        )  # fmt: skip
        assert done.returncode == 4, done.stderr
        (seen,) = vendor.requests
    # The vendor got the client's own bytes and credential, and nothing of ours.
    assert (seen.target, seen.body) == ("/v1/messages?beta=true", BODY)
    sent = {name.lower(): value for name, value in seen.headers}
    assert sent["x-api-key"] == OWN and sent["host"] == "api.anthropic.com"
    assert set(sent) == {
        "x-api-key", "anthropic-version", "content-type", "user-agent", "host", "connection",
        "accept-encoding", "content-length",
    }  # fmt: skip
    # Nothing but the command writes to standard output.
    (url,) = done.stdout.split()
    run, _, provider = url.split("/")[-3:]
    assert provider == "anthropic" and f":{taken}/" not in url
    first, last = done.stderr.splitlines()
    assert first.startswith("ccproxy: recording to http://127.0.0.1:") and run in first
    assert last.startswith("ccproxy: 1 request, ") and " tokens in, " in last and "$" in last
    assert "ccproxy start" in last and run in last and "error" not in last
    with sqlite3.connect(ccproxy.directory / "ccproxy.sqlite3") as database:
        columns = "run_label, provider, status_code, credential_injected, input_tokens > 0"
        rows = database.execute(f"SELECT {columns} FROM flows_flow").fetchall()
    assert rows == [(run, "anthropic", 200, 0, 1)]
    # The interceptor ended with its only run.
    FileLock(ccproxy.directory / "run" / "own-interceptor.lock").acquire()
    assert not is_listening("127.0.0.1", int(url.split(":")[2].split("/")[0]))
    assert OWN.encode() not in b"".join(
        path.read_bytes() for path in ccproxy.directory.rglob("*") if path.is_file()
    )


def test_a_refused_start_is_one_sentence(ccproxy) -> None:
    done = ccproxy("run", "true", CCPROXY_DATABASE_URL="", DATABASE_URL="sqlite:////no/such/x.db")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ccproxy: the proxy cannot be started: ")
    assert done.stderr.count("\n") == 1


def test_it_is_kept_until_the_last_run_ends(tmp_path: Path) -> None:
    path, codes = tmp_path / "lock", []
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    first, second = FileLock(path), FileLock(path)
    first.acquire_shared()
    second.acquire_shared()
    thread = threading.Thread(target=lambda: codes.append(keep(sleeper, path)))
    thread.start()
    first.release()
    time.sleep(0.2)
    assert thread.is_alive() and not codes
    second.release()
    thread.join(PATIENCE_S)
    assert codes == [-signal.SIGTERM]


def test_a_port_that_is_taken_is_replaced(listener: socket.socket) -> None:
    taken = listener.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    settings = ServerSettings.model_validate({"port": taken, "inspector": {"port": free}})
    ports = free_ports(settings_for_commands(settings, Path("/nowhere")))
    assert ports["console"] == free and ports["proxy"] not in (taken, 0)
    assert not is_ccproxy("127.0.0.1", free)


def test_the_summary_in_words() -> None:
    assert sentence(RunSums(3, 1, 0, 1234, 56, 914, 1000, 0.0123)) == (
        "3 requests, 1.2 k tokens in, 56 out, 91 % from the cache, $0.012, 1 error"
    )
    assert sentence(RunSums(1, 0, 0, None, None, None, None, None)) == "1 request"
