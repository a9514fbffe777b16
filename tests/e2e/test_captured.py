"""What the record, the API and the console say of a captured command, with a real interceptor and a
real tunnel.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.console import Console
from tests.e2e.process import Interceptor, running, wait_until
from tests.fakes.certificates import make_authority
from tests.fakes.upstream import Upstream
from tests.interceptor.wireguard.tunnel import Captured, captured, need_tunnel
from tests.interceptor.wireguard.world import talk

CANARY = "canary-of-the-provider-0123456789"
USERS_OWN = "users-own-key-9a8b7c6d5e4f3210"
BODY = json.dumps(
    {"model": "m-1", "max_tokens": 1, "messages": [{"role": "user", "content": "hello"}]}
).encode()
CONFIG = """
providers:
  anthropic:
    type: anthropic
    host: api.anthropic.com
    auth: {{type: command, command: "echo {canary}", header: x-api-key}}
inspector:
  wireguard_port: 0
  dns_overrides: {{api.anthropic.com: 192.0.2.10, files.example: 192.0.2.11}}
  upstream_overrides: {{api.anthropic.com: "127.0.0.1:{port}", files.example: "127.0.0.1:{port}"}}
  mitmproxy: {{ssl_verify_upstream_trusted_ca: {ca}}}
"""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    need_tunnel()
    folder = tmp_path_factory.mktemp("captured")
    authority = make_authority(folder, "api.anthropic.com", "files.example")
    with Upstream(authority.server_context(["http/1.1"])) as server:
        config = CONFIG.format(canary=CANARY, port=server.port, ca=authority.ca_file)
        with running(Interceptor(folder, config)) as interceptor, Console(interceptor) as console:
            with captured(interceptor.config_dir, interceptor.config_dir, label="agent") as run:
                ask(run, "api.anthropic.com", "sk-ccproxy-anthropic")
                ask(run, "api.anthropic.com", USERS_OWN)
                ask(run, "files.example", USERS_OWN, "/upload")
            assert [seen.header("x-api-key") for seen in server.requests] == [
                CANARY,
                USERS_OWN,
                USERS_OWN,
            ]
            with captured(
                interceptor.config_dir, interceptor.config_dir, label="fenced", egress=["a.test"]
            ) as run:
                run.lookup("files.example")
            check_keys(interceptor)
            wait_until(lambda: len(flows(console, lookups="shown")) == 7, "everything is recorded")
            yield console
            interceptor.stop()
            assert not (interceptor.config_dir / "wireguard-client.conf").exists()


def check_keys(interceptor: Interceptor) -> None:
    """No key is left on the disk but the static listener's, and none is in the log."""
    folder = interceptor.config_dir
    assert not list((folder / "run").glob("*.conf"))
    assert "PrivateKey" in (folder / "wireguard-client.conf").read_text()
    assert (
        "PrivateKey" not in (folder / "ccproxy.log").read_text() + interceptor.log_path.read_text()
    )


def ask(run: Captured, host: str, key: str, path: str = "/v1/messages") -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nx-api-key: {key}\r\nContent-Length:"
        f" {len(BODY)}\r\n\r\n"
    )
    with run.tls(run.address(host), host) as connection:
        talk(connection, head.encode() + BODY)


def flows(console: Console, **query: str) -> list[dict[str, Any]]:
    """Oldest first."""
    found = console.api.get("/api/flows/", params=query).raise_for_status().json()
    return list(reversed(found["results"]))


def test_requests_are_listed_and_lookups_only_on_demand(console: Console) -> None:
    assert [flow["request"]["method"] for flow in flows(console)] == ["POST"] * 3
    assert [flow["type"] for flow in flows(console, lookups="alone")] == ["dns"] * 4


def test_each_tells_its_run(console: Console) -> None:
    assert [flow["run_label"] for flow in flows(console, run="agent")] == ["agent"] * 3
    assert {flow["run_command"] for flow in flows(console)} == {"agent --flag 'two words'"}
    (refused,) = flows(console, run="fenced", lookups="shown")
    assert refused["action"] == "refused" and "--egress files.example" in refused["error"]["msg"]


def test_each_tells_its_clients_fingerprint(console: Console) -> None:
    prints = {(flow["ja4"], flow["ja3"]) for flow in flows(console)}
    ((ja4, ja3),) = prints
    assert len(flows(console, ja4=ja4[:10])) == 3 and flows(console, ja4="t10") == []
    assert len(ja3) == 32


def test_model_calls_are_shape_candidates(console: Console) -> None:
    assert [flow["request"]["path"] for flow in flows(console, candidate="true")] == [
        "/v1/messages"
    ] * 2
    assert [flow["request"]["path"] for flow in flows(console, candidate="false")] == ["/upload"]


def test_no_credential_is_kept(console: Console) -> None:
    shown = json.dumps(
        [console.api.get(f"/api/flows/{flow['id']}/").json() for flow in flows(console)]
    )
    assert CANARY not in shown and USERS_OWN not in shown


def test_every_page_of_every_kind_of_flow_opens(console: Console) -> None:
    page = console.pages.get("/flows/", params={"lookups": "shown"}).raise_for_status().text
    assert page.count("api.anthropic.com") >= 2 and "two words" in page
    for flow in flows(console, lookups="shown"):
        for tab in ("", "client", "forwarded", "response", "changes", "context", "timing"):
            page = (
                console.pages.get(f"/flows/{flow['id']}/", params={"tab": tab})
                .raise_for_status()
                .text
            )
            assert flow["run_label"] in page
    console.pages.get("/flows/har", params={"lookups": "shown"}).raise_for_status()
