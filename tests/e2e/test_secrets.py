"""A credential that passed through is found nowhere afterwards: database, logs, API, pages, exports."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from websockets.sync.client import connect

from tests.e2e import raw
from tests.e2e.conftest import provider_yaml
from tests.e2e.console import Console
from tests.e2e.process import Interceptor, running, unpacked
from tests.fakes.upstream import Script, Upstream, sse

CANARIES = {
    "key": "canary-key-41d8f0a37be64c90a2",
    "file": "canary-file-9a7720cd51fe4b3c8d",
    "command": "canary-command-c3b1f2e480d94a77",
    "client": "sk-ant-api03-canary-client-77aa01c2be3f4d56",
}
HIDDEN = {"client.key", "file.key", "command.sh", "secret.key"}
"""Where the secrets themselves were put by their owner."""


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interceptor]:
    """An interceptor through which every canary has passed, in every place a credential may turn up in."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "file.key").write_text(CANARIES["file"])
    (folder / "command.sh").write_text(f"echo {CANARIES['command']}\n")
    with Upstream() as upstream:
        config = "providers:\n" + "".join(
            [
                provider_yaml("key", upstream, "{type: key}"),
                provider_yaml("file", upstream, f"{{type: file, file: {folder}/file.key}}"),
                provider_yaml("command", upstream, f"{{type: command, command: 'sh {folder}/command.sh'}}"),
            ]
        )
        with running(Interceptor(folder, config, CCPROXY_LOG_LEVEL="DEBUG")) as process:
            save = "from providers.models import Provider\nrow=Provider.objects.get(name='key')\n"
            process.orm(f"{save}row.secret={CANARIES['key']!r}; row.save()")
            process.settle()
            for provider in ("key", "file", "command"):
                send_everything(process, upstream, provider, CANARIES[provider])
            send_the_clients_own(process)
            sent = 5 * 3 + 3
            process.wait_for_flows(sent, timeout_s=20)
            yield process


def send_everything(process: Interceptor, upstream: Upstream, provider: str, secret: str) -> None:
    """Answers that repeat the credential: plainly, in JSON escapes, in pieces, compressed, encoded, in headers."""
    body = b'{"model":"demo","max_tokens":9,"messages":[]}'
    shouted = json.dumps({"error": {"message": f"bad key {secret}", "also": secret[:6] + "\\u002d" + secret[7:]}})
    basic = base64.b64encode(f"user:{secret}".encode()).decode()
    coded = json.dumps({"basic": basic, "url": quote(secret), "bare": base64.b64encode(secret.encode()).decode()})
    half = f"event: ping\ndata: {secret[:13]}".encode()
    for script in (
        Script(401, (("content-type", "application/json"), ("x-echo", secret)), (shouted.encode(),)),
        sse(b"event: ping\ndata: 1\n\n", half, f"{secret[13:]}\n\n".encode(), pause_s=0.02),
        Script(200, (("content-encoding", "gzip"),), (gzip.compress(shouted.encode()),)),
        Script(200, (("content-type", "application/json"),), (coded.encode(),)),
    ):
        upstream.scripts["/v1/messages"] = script
        head = [("Host", "127.0.0.1"), ("x-api-key", f"sk-ccproxy-{provider}"), ("Content-Length", str(len(body)))]
        raw.exchange(process.port, raw.request("POST", "/v1/messages", head, body))
    assert secret in upstream.last.head.decode()
    upstream.scripts["/v1/responses"] = Script(echo=True)
    key = {"Authorization": f"Bearer sk-ccproxy-{provider}"}
    with connect(f"ws://127.0.0.1:{process.port}/v1/responses", additional_headers=key, proxy=None) as client:
        client.send(f"my key is {secret}")
        assert client.recv() == f"my key is {secret}"


def send_the_clients_own(process: Interceptor) -> None:
    """Keys that are no sentinels, where clients put them; none is forwarded, all are recorded."""
    secret = CANARIES["client"]
    for headers, target in (
        ({"authorization": f"Bearer {secret}"}, "/v1/chat/completions"),
        ({"x-api-key": secret, "cookie": f"session={secret}"}, "/v1/messages"),
        ({}, f"/v1beta/models/m:generateContent?key={secret}"),
    ):
        assert httpx.post(process.url + target, json={}, headers=headers, trust_env=False).status_code == 501


def shapes_of(secret: str) -> list[bytes]:
    """The secret as it may be written."""
    plain = secret.encode()
    coded = {base64.b64encode(plain).rstrip(b"="), base64.b64encode(b"user:" + plain).rstrip(b"=")[8:]}
    return [plain, plain[:16], plain[-16:], quote(secret).encode(), *coded]


def found_in(data: bytes) -> list[str]:
    return [name for name, secret in CANARIES.items() if any(shape in data for shape in shapes_of(secret))]


def test_the_scan_finds_what_is_there() -> None:
    for name, secret in CANARIES.items():
        assert found_in(b"x" + secret.encode() + b"y") == [name]
        assert found_in(base64.b64encode(f"user:{secret}".encode())) == [name]


def test_files(used: Interceptor) -> None:
    scanned = 0
    for path in used.folder.rglob("*"):
        if path.is_file() and path.name not in HIDDEN:
            assert found_in(path.read_bytes()) == [], path
            scanned += 1
    assert scanned >= 4
    assert Path(f"{used.database}-wal").exists(), "the write-ahead log is part of the scan"


def test_stored_bodies(used: Interceptor) -> None:
    rows = used.rows("select blob, encoding from flows_flowbody")
    assert len(rows) > 5
    for row in rows:
        body = unpacked(row["blob"], row["encoding"])
        assert found_in(body) == []
        assert not body.startswith(b"\x1f\x8b") or found_in(gzip.decompress(body)) == []


def test_rest_api(used: Interceptor) -> None:
    with Console(used) as console:
        seen = 0
        for flow in used.flows():
            texts = [console.api.get(f"/api/flows/{flow['id']}/")]
            texts += [
                console.api.get(f"/api/flows/{flow['id']}/body/{side}/")
                for side in ("client", "forwarded", "upstream", "delivered")
            ]
            assert texts[0].status_code == 200
            for reply in texts:
                assert found_in(reply.content) == [], reply.url
            seen += 1
        for path in ("/api/flows/", "/api/providers/", "/api/interceptors/", "/api/schema/"):
            reply = console.api.get(path)
            assert reply.status_code == 200
            assert found_in(reply.content) == [], path
        assert seen >= 15


def test_pages(used: Interceptor) -> None:
    """Every page that can be reached from the start page and the flow list."""
    with Console(used) as console:
        waiting = ["/flows/", "/admin/"]
        visited: set[str] = set()
        while waiting and len(visited) < 150:
            path = waiting.pop()
            if path in visited:
                continue
            visited.add(path)
            reply = console.pages.get(path)
            assert reply.status_code < 500, path
            assert found_in(reply.content) == [], path
            links = re.findall(r'(?:href|hx-get)="(/[^"#]*)"', reply.text)
            waiting += [html.unescape(link) for link in links if _worth(link)]
        assert any(path.startswith("/flows/") and len(path) > 30 for path in visited), visited
        assert any("/admin/providers/provider/" in path and "change" in path for path in visited), visited


def _worth(link: str) -> bool:
    return link.startswith(("/flows", "/admin")) and "logout" not in link and "delete" not in link


def test_exports(used: Interceptor) -> None:
    for arguments in (["exportconfig"], ["flows", "list", "--json"]):
        done = used.manage(*arguments)
        assert done.returncode == 0, done.stderr
        assert done.stdout
        assert found_in((done.stdout + done.stderr).encode()) == [], arguments
