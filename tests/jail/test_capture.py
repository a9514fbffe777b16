"""Clients of every kind reach the provider from a jail, trust the certificate, and are recorded
byte for byte.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.jail.world import HOST, OTHER, World

URL = f"https://{HOST}/v1/messages?beta=true"
BODY = '{"model":"claude-demo","max_tokens": 5,  "messages":[{"role":"user","content":"größe"}]}'
SENTINEL = "sk-ccproxy-anthropic"
PYTHON = """
import sys, {module} as client
headers = {{"content-type": "application/json", "x-run": "{module}"}}
answer = client.post("{url}", content_or_data=sys.argv[1].encode(), headers=headers)
print(answer.status_code)
"""
NODE = """
const headers = {"content-type": "application/json", "x-run": "node"}
fetch(process.argv[1], {method: "POST", body: process.argv[2], headers})
  .then(async (answer) => { await answer.text(); console.log(answer.status) })
"""
GO = """
package main
import ("fmt"; "net/http"; "os"; "strings")
func main() {
  request, _ := http.NewRequest("POST", os.Args[1], strings.NewReader(os.Args[2]))
  request.Header.Set("x-run", "go")
  request.Header.Set("content-type", "application/json")
  answer, err := http.DefaultClient.Do(request)
  if err != nil { fmt.Println(err); os.Exit(1) }
  fmt.Println(answer.StatusCode)
}
"""


def seen_by_provider(world: World, run: str):
    return next(seen for seen in world.upstream.requests if seen.header("x-run") == run)


def check(world: World, run: str, done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stdout.strip()) == (0, "200"), done.stderr
    seen = seen_by_provider(world, run)
    assert (seen.target, seen.body) == ("/v1/messages?beta=true", BODY.encode())
    flows = world.interceptor.wait_for_flows(1, "run_label=? and method='POST'", run)
    assert [(flow["host"], flow["status_code"]) for flow in flows] == [(HOST, 200)]
    lookups = world.interceptor.wait_for_flows(1, "run_label=? and method!='POST'", run)
    assert {flow["host"] for flow in lookups} == {HOST}
    sides = world.interceptor.sides(flows[0]["id"])
    assert sides["client"]["body"] == BODY.encode()


def test_curl(world):
    words = (
        "curl",
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-d",
        BODY,
        "-H",
        "x-run: curl",
    )
    check(
        world, "curl", world.run(*words, "-H", "content-type: application/json", URL)
    )  # labelled by its name


def test_httpx(world):
    code = PYTHON.format(module="httpx", url=URL).replace("content_or_data", "content")
    check(world, "httpx", world.python(code, BODY, options=("--label", "httpx")))


def test_requests(world):
    code = PYTHON.format(module="requests", url=URL).replace("content_or_data", "data")
    check(world, "requests", world.python(code, BODY, options=("--label", "requests")))


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_node(world):
    check(world, "node", world.run("node", "-e", NODE, URL, BODY))


@pytest.mark.skipif(not shutil.which("go"), reason="go is not installed")
def test_go(world, tmp_path_factory):
    folder = Path(tmp_path_factory.mktemp("go"))
    (folder / "main.go").write_text(GO)
    program = world.folder / "goclient"
    environ = {**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    subprocess.run(
        ["go", "build", "-o", str(program), str(folder / "main.go")], check=True, env=environ
    )
    check(world, "go", world.run(str(program), URL, BODY, options=("--label", "go")))


def test_a_client_without_its_environment_trusts_it_too(world):
    words = (
        "env",
        "-i",
        "curl",
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        f"https://{HOST}/v1/models",
    )
    assert world.run(*words).stdout == "200"


def test_without_any_tool_the_python_client_is_taken(world):
    """A PATH without slirp4netns and wireguard-go; the other names are what makes the test a
    user.
    """
    folder = world.folder / "bin"
    folder.mkdir()
    for name in ("unshare", "env", "sh", "mount", "mkdir", "setpriv"):
        (folder / name).symlink_to(str(shutil.which(name)))
    code = "import socket; print([name for _, name in socket.if_nameindex()])"
    done = world.python(code, environ={"PATH": str(folder)})
    assert (done.returncode, done.stdout) == (0, "['lo', 'wg0']\n"), done.stderr
    words = (
        str(shutil.which("curl")),
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        f"https://{HOST}/v1/models",
    )
    assert world.run(*words, environ={"PATH": str(folder)}).stdout == "200"


def test_a_sentinel_becomes_the_key_for_its_own_host_alone(world):
    world.interceptor.manage("setkey", "anthropic", stdin="sk-ant-real-key-of-the-test\n")
    world.interceptor.settle()
    for host, run in ((HOST, "sentinel-here"), (OTHER, "sentinel-there")):
        words = (
            "curl",
            "-sS",
            "-o",
            "/dev/null",
            "-d",
            BODY,
            "-H",
            f"x-run: {run}",
            "-H",
            f"x-api-key: {SENTINEL}",
        )
        world.run(*words, "-H", "content-type: application/json", f"https://{host}/v1/messages")
    assert (
        seen_by_provider(world, "sentinel-here").header("x-api-key")
        == "sk-ant-real-key-of-the-test"
    )
    there = [seen for seen in world.upstream.requests if seen.header("x-run") == "sentinel-there"]
    assert all("real-key" not in json.dumps(seen.headers) for seen in there)
