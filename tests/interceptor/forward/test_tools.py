"""Programs by the variables of `ccproxy run --forward`: each is read, recorded and trusted.

Its own key reaches the provider; a host that is nobody's provider passes unread.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from jail.ca_bundle import write_bundle
from jail.run.forward_variables import forward_variables
from tests.interceptor.forward.world import World
from tests.interceptor.proxied import CA_DIR
from tests.patience import PATIENCE_S

URL = "https://good.test/v1/messages"
KEY = "users-own-key"
KEPT = ("PATH", "LANG", "GOCACHE", "PYTHONPATH")
BODY = '{"model":  "m", "max_tokens": 1, "messages": []}'
PYTHON = {
    "httpx": f"""
import httpx
print(httpx.post("{URL}", content='{BODY}', headers={{"x-api-key": "{KEY}"}}).status_code)
""",
    "requests": f"""
import requests
print(requests.post("{URL}", data='{BODY}', headers={{"x-api-key": "{KEY}"}}).status_code)
""",
    "urllib": f"""
import urllib.request
asked = urllib.request.Request("{URL}", b'{BODY}', {{"x-api-key": "{KEY}"}})
print(urllib.request.urlopen(asked).status)
""",
    "aiohttp": f"""
import aiohttp, asyncio
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.post("{URL}", data='{BODY}', headers={{"x-api-key": "{KEY}"}}) as got:
            print(got.status)
asyncio.run(main())
""",
}
NODE = f"""
fetch("{URL}", {{method: "POST", body: '{BODY}', headers: {{"x-api-key": "{KEY}"}}}})
  .then((got) => console.log(got.status))
"""
GO = f"""
package main

import ("fmt"; "net/http"; "strings")

func main() {{
    asked, _ := http.NewRequest("POST", "{URL}", strings.NewReader(`{BODY}`))
    asked.Header.Set("x-api-key", "{KEY}")
    got, problem := http.DefaultClient.Do(asked)
    if problem != nil {{ panic(problem) }}
    fmt.Println(got.StatusCode)
}}
"""


@dataclass
class Shell:
    """Runs programs with the variables."""

    world: World
    environ: dict[str, str]
    folder: Path

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def shell(world: World, tmp_path: Path) -> Iterator[Shell]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    kept |= {"HOME": str(tmp_path), "SSL_CERT_FILE": str(world.authority_file)}
    bundle = write_bundle(tmp_path, CA_DIR, kept)
    yield Shell(world, kept | forward_variables(world.url, bundle, kept), tmp_path)


def check_seen(world: World) -> None:
    """The provider got the client's own key and bytes, and the record knows the run."""
    seen = world.good.last
    assert (seen.header("x-api-key"), seen.body.decode()) == (KEY, BODY)
    [record] = world.records(method="POST", host="good.test")
    assert (record.run_label, record.action) == ("test-run", "passthrough")


@pytest.mark.parametrize("library", PYTHON)
def test_python(shell: Shell, library: str) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    assert shell.run(sys.executable, "-c", PYTHON[library]) == "200"
    check_seen(shell.world)


def test_curl(shell: Shell) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    options = ("-sS", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", BODY)
    assert shell.run("curl", *options, "-H", f"x-api-key: {KEY}", URL) == "200"
    check_seen(shell.world)
    # A host that is nobody's provider passes unread, with the server's own certificate.
    assert shell.run("curl", *options, "https://other.test/v1/messages") == "200"
    [record] = shell.world.records(host="other.test")
    assert (record.method, record.run_label) == ("TCP", "test-run")
    # This machine is reached directly.
    here = f"http://127.0.0.1:{shell.world.plain.port}/health"
    assert shell.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", here) == "200"


def test_git(shell: Shell) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    done = subprocess.run(
        ["git", "ls-remote", "https://good.test/team/project.git"],
        env=shell.environ,
        cwd=shell.folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert "not found" in done.stderr, "the scripted provider has no repositories"
    assert shell.world.records(method="GET")[0].path.startswith("/team/project.git/info/refs")


def test_node(shell: Shell) -> None:
    node = os.environ.get("CCPROXY_TEST_NODE") or shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    major, minor = map(int, shell.run(node, "--version").lstrip("v").split(".")[:2])
    if (major, minor) < (22, 21) or major == 23:
        pytest.skip("this node reads no proxy variables; 22.21 and 24 do")
    assert shell.run(node, "-e", NODE) == "200"
    check_seen(shell.world)


def test_go(shell: Shell) -> None:
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    (shell.folder / "main.go").write_text(GO)
    assert shell.run("go", "run", "main.go") == "200"
    check_seen(shell.world)


def test_the_users_exceptions_and_other_proxies() -> None:
    given = {"NO_PROXY": "git.corp", "ALL_PROXY": "socks5://proxy.corp"}
    made = forward_variables("http://run:x@127.0.0.1:1", Path("/b.pem"), given)
    assert made["NO_PROXY"] == made["no_proxy"] == "git.corp,127.0.0.1,localhost,::1"
    assert made["ALL_PROXY"] == made["https_proxy"] == "http://run:x@127.0.0.1:1"
    assert made["NODE_EXTRA_CA_CERTS"] == made["GIT_SSL_CAINFO"] == "/b.pem"
