"""A credential that passed through is found nowhere afterwards: database, logs, API, pages,
exports, live messages.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import zstandard
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.e2e import raw, steps
from tests.e2e.canaries import Canaries, cells
from tests.e2e.conftest import provider_yaml
from tests.e2e.console import Console
from tests.e2e.locked import locked
from tests.e2e.process import Interceptor, running, wait_until
from tests.fakes.token_endpoint import TokenEndpoint
from tests.fakes.upstream import Script, Seen, Upstream, sse
from tests.patience import PATIENCE_S

CANARIES = {
    "key": "Kq7/canary+key=41d8f0a37be64c90a2",
    "file": "canary-file-9a7720cd51fe4b3c8d",
    "command": "canary-command-c3b1f2e480d94a77",
    "client": "sk-ant-api03-Cv9canary-client-77aa01c2be3f4d56",
}
HIDDEN = {"file.key", "command.sh", "login.json", "stale.json", "secret.key"}
"""Where the secrets themselves were put by their owner."""
BODY = b'{"model":"demo","max_tokens":9,"messages":[]}'
OF_A_KIND = 1
"""Pages of one kind that are read besides those that are named; lists link each row, and themselves
in each order. Every cell of the database, which the pages show, is looked at by another test."""
NUMBERS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b\d+\b")
CHOOSES = ("tab=", "view=", "part=", "show=")
"""Parts of a query that choose another page."""


def spell(kind: str, number: int) -> str:
    """An OAuth token without order in it, with characters that some encodings change."""
    digest = hashlib.sha512(f"{kind} {number}".encode()).digest()
    return f"{kind[0]}t/{base64.b64encode(digest)[:56].decode()}"


@dataclass
class Used:
    """The interceptor, what passed through it, and what its pages were told meanwhile."""

    process: Interceptor
    canaries: Canaries
    upstream: Upstream
    replies: list[raw.Answer] = field(default_factory=list)
    """Error answers of the proxy's own."""
    live: list[bytes] = field(default_factory=list)
    sent: int = 0


EVERYTHING_LOGGED = {
    "CCPROXY_LOG_LEVEL": "DEBUG",
    "CCPROXY_INSPECTOR__MITMPROXY__TERMLOG_VERBOSITY": "debug",
    "CCPROXY_INSPECTOR__MITMPROXY__FLOW_DETAIL": "4",
}
"""The canaries must not be in the log even when it says all that it can."""


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    """An interceptor through which every canary has passed, in every place a credential may turn up
    in.
    """
    folder = tmp_path_factory.mktemp("secrets")
    with Upstream() as upstream, TokenEndpoint() as endpoint, TokenEndpoint() as broken:
        config = write_sources(folder, upstream, endpoint, broken)
        with running(Interceptor(folder, config, **EVERYTHING_LOGGED)) as process:
            use = Used(process, Canaries(CANARIES), upstream)
            process.call(steps.store_key, "key", CANARIES["key"])
            process.settle()
            with Console(process) as console, listening(console, "/ws/flows/", use.live):
                for provider in ("key", "file", "command", "login"):
                    send_everything(use, upstream, provider)
                    watch_one(use, console, upstream, provider)
                refuse_in_the_middle(use, upstream, endpoint)
                fail_to_renew(use, broken)
                send_the_clients_own(use, upstream)
                console.pages.get(
                    "/flows/nowhere/", params={"key": CANARIES["key"]}
                )  # the log tells of it
            process.wait_for_flows(use.sent)
            issued = {
                f"{kind} {n}": spell(kind, n) for n in range(1, 4) for kind in ("access", "refresh")
            }
            stale = {
                "stale access": spell("stale access", 1),
                "stale refresh": spell("stale refresh", 1),
            }
            use.canaries = Canaries(CANARIES | issued | stale)
            assert endpoint._number == 3, "renewed when it expired and when it was refused, no more"
            yield use


def write_sources(
    folder: Path, upstream: Upstream, endpoint: TokenEndpoint, broken: TokenEndpoint
) -> str:
    """The files of every source, and the configuration."""
    endpoint.spell = spell
    broken.spell = lambda kind, number: spell(f"stale {kind}", number)
    broken.status, broken.echo = 400, True
    (folder / "file.key").write_text(CANARIES["file"])
    (folder / "command.sh").write_text(f"echo {CANARIES['command']}\n")
    sources = {
        "key": "{type: key}",
        "file": f"{{type: file, file: {folder}/file.key}}",
        "command": f"{{type: command, command: 'sh {folder}/command.sh'}}",
        "open": "{type: none}",
    }
    for name, server, path in (("login", endpoint, "login.json"), ("stale", broken, "stale.json")):
        access, refresh = server.issue()
        tokens = {
            "access_token": access,
            "refresh_token": refresh,
            "expires_at": (time.time() - 9999) * 1000,
        }
        (folder / path).write_text(json.dumps(tokens))
        sources[name] = (
            f'{{type: anthropic_oauth, file_path: {folder}/{path}, endpoint: "{server.url}"}}'
        )
    sources["open"] = "null"
    text = "providers:\n" + "".join(
        provider_yaml(name, upstream, auth) for name, auth in sources.items()
    )
    rule = '{match_path: "^/open", action: redirect, dest_provider: open, dest_path: /v1/messages}'
    return f"{text}inspector:\n  transforms:\n    - {rule}\n"


class listening:
    """Everything that a websocket of the console says goes into `heard`.

    Use it as a context manager.
    """

    def __init__(self, console: Console, path: str, heard: list[bytes]) -> None:
        base = str(console.pages.base_url).rstrip("/")
        cookies = "; ".join(f"{name}={value}" for name, value in console.pages.cookies.items())
        url = base.replace("http", "ws", 1) + path
        self._socket: ClientConnection = connect(
            url, origin=Origin(base), additional_headers={"Cookie": cookies}, proxy=None
        )
        self._thread = threading.Thread(target=self._read, args=(heard,), daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._thread.join(PATIENCE_S)

    def _read(self, heard: list[bytes]) -> None:
        try:
            for message in self._socket:
                heard.append(message.encode() if isinstance(message, str) else message)
        except ConnectionClosed:
            pass


def credential_of(seen: Seen) -> str:
    return (seen.header("authorization") or "").removeprefix("Bearer ") or str(
        seen.header("x-api-key")
    )


def shouted(secret: str) -> bytes:
    pieces = {
        "message": f"bad key {secret}",
        "also": "\\u002d".join([secret[:6], secret[7:]]),
        "hex": secret.encode().hex(),
    }
    return json.dumps({"type": "error", "error": pieces}).replace("\\\\u", "\\u").encode()


def plainly(seen: Seen) -> Script:
    secret = credential_of(seen)
    return Script(
        400, (("content-type", "application/json"), ("x-echo", secret)), (shouted(secret),)
    )


def in_pieces(seen: Seen) -> Script:
    secret = credential_of(seen)
    half = f'event: ping\ndata: {{"x":"{secret[:13]}'.encode()
    return sse(b"event: ping\ndata: 1\n\n", half, f'{secret[13:]}"}}\n\n'.encode(), pause_s=0.02)


def gzipped(seen: Seen) -> Script:
    return Script(
        200, (("content-encoding", "gzip"),), (gzip.compress(shouted(credential_of(seen))),)
    )


def zstd(seen: Seen) -> Script:
    return Script(
        200, (("content-encoding", "zstd"),), (zstandard.compress(shouted(credential_of(seen))),)
    )


def encoded(seen: Seen) -> Script:
    secret = credential_of(seen).encode()
    texts = [base64.b64encode(b"u" * pad + secret).decode() for pad in range(3)]
    body = {
        "b": texts,
        "safe": base64.urlsafe_b64encode(secret).decode(),
        "url": quote(secret, safe=""),
    }
    headers = (
        ("content-type", "application/json"),
        ("location", f"https://x.test/?token={quote(secret)}"),
    )
    return Script(200, headers, (json.dumps(body).encode(),))


def send(use: Used, provider: str, *, path: str = "/v1/messages") -> raw.Answer:
    head = [
        ("Host", "127.0.0.1"),
        ("x-api-key", f"sk-ccproxy-{provider}"),
        ("Content-Length", str(len(BODY))),
    ]
    use.sent += 1
    return raw.exchange(use.process.port, raw.request("POST", path, head, BODY))


def send_everything(use: Used, upstream: Upstream, provider: str) -> None:
    """Answers that repeat the credential: plainly, in JSON escapes, in pieces, compressed, encoded,
    in headers.
    """
    for script in (plainly, in_pieces, gzipped, zstd, encoded):
        upstream.scripts["/v1/messages"] = script
        assert send(use, provider).status in (200, 400)
    secret = credential_of(upstream.last)
    assert len(secret) > 20
    upstream.scripts["/v1/responses"] = Script(echo=True)
    key = {"Authorization": f"Bearer sk-ccproxy-{provider}"}
    use.sent += 1
    with connect(
        f"ws://127.0.0.1:{use.process.port}/v1/responses", additional_headers=key, proxy=None
    ) as client:
        client.send(f"my key is {secret}")
        assert client.recv() == f"my key is {secret}"


def watch_one(use: Used, console: Console, upstream: Upstream, provider: str) -> None:
    """A page is open while an answer with the credential in it runs."""
    gate = threading.Event()

    def telling(seen: Seen) -> Script:
        text = json.dumps(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": "@"},
            }
        )
        before, after = text.split("@")
        secret = credential_of(seen)
        start = f"event: content_block_delta\ndata: {before}the key is {secret[:9]}".encode()
        return sse(
            start,
            f"{secret[9:]}, that was it{after}\n\n".encode(),
            b"event: ping\ndata: {}\n\n",
            gate=gate,
        )

    upstream.scripts["/v1/messages"] = telling
    use.process.wait_for_flows(use.sent)
    thread = threading.Thread(target=send, args=(use, provider), daemon=True)
    thread.start()
    [running_flow] = wait_until(
        lambda: use.process.flows("state='live'"), "the running flow is recorded"
    )
    deadline = time.monotonic() + PATIENCE_S
    heard: list[bytes] = []
    with listening(console, f"/ws/flows/{running_flow['id']}/?from=0", heard):
        while b"that was it" not in b"".join(heard):
            assert time.monotonic() < deadline, f"the page only heard {heard}"
            time.sleep(0.02)
        gate.set()
        thread.join(PATIENCE_S)
    use.live += heard


def refuse_in_the_middle(use: Used, upstream: Upstream, endpoint: TokenEndpoint) -> None:
    """A good login is refused with an answer that repeats its token; the request goes out again
    with another one.
    """
    endpoint.revoke_access()

    def checking(seen: Seen) -> Script:
        secret = credential_of(seen)
        if endpoint.is_good(secret):
            return Script(200, pieces=(shouted(secret),))
        return Script(
            401, (("content-type", "application/json"), ("x-echo", secret)), (shouted(secret),)
        )

    upstream.scripts["/v1/messages"] = checking
    assert send(use, "login").status == 200


def fail_to_renew(use: Used, broken: TokenEndpoint) -> None:
    """A token endpoint that repeats the refresh token in its refusal."""
    for path in ("/v1/messages", "/v1/chat/completions", "/v1beta/models/m:generateContent"):
        reply = send(use, "stale", path=path)
        assert reply.status in (400, 503), reply.body
        use.replies.append(reply)
    assert broken.refused or broken.requests, "it was asked"


def send_the_clients_own(use: Used, upstream: Upstream) -> None:
    """Keys that are no sentinels, where clients put them: most are refused, one is passed on and
    repeated.
    """
    secret = CANARIES["client"]
    for headers, target in (
        ({"authorization": f"Bearer {secret}"}, "/v1/chat/completions"),
        ({"x-api-key": secret, "cookie": f"session={secret}"}, "/v1/messages"),
        ({}, f"/v1beta/models/m:generateContent?key={secret}"),
    ):
        use.sent += 1
        reply = httpx.post(
            use.process.url + target, json={"api_key": secret}, headers=headers, trust_env=False
        )
        assert reply.status_code == 501
        use.replies.append(raw.Answer(501, list(reply.headers.items()), [(0.0, reply.content)]))
    upstream.scripts["/v1/messages"] = plainly
    use.sent += 1
    headers = {"x-api-key": secret}
    reply = httpx.post(
        f"{use.process.url}/open", json={"password": secret}, headers=headers, trust_env=False
    )
    assert (reply.status_code, credential_of(upstream.last)) == (400, secret)


def test_the_scan_finds_what_is_there() -> None:
    canaries = Canaries(CANARIES)
    for secret in CANARIES.values():
        inner = secret.removeprefix("sk-ant-api03-")
        for written in (
            secret.encode(),
            inner[:14].encode(),
            inner[-14:].encode(),
            base64.b64encode(f"user:{secret}".encode()),
            quote(inner, safe="").encode(),
            inner[3:17].encode().hex().encode(),
        ):
            assert len(canaries.found_in(b"x" + written + b"y")) == 1, written
        assert canaries.found_within(zstandard.compress(gzip.compress(secret.encode())))
    assert canaries.found_in(b"canary-key sk-ant-api03-Cv9can") == []


def test_files(used: Used) -> None:
    """Database, write-ahead log and shared memory, logs, and everything else in the config
    directory.
    """
    scanned = set()
    for path in used.process.folder.rglob("*"):
        if path.is_file() and path.name not in HIDDEN:
            assert used.canaries.found_in(path.read_bytes()) == [], path
            scanned.add(path.name)
    assert {
        "ccproxy.sqlite3",
        "ccproxy.sqlite3-wal",
        "ccproxy.sqlite3-shm",
        "ccproxy.log",
        "output.log",
    } <= scanned


def test_rows_that_waited_in_the_spool(tmp_path: Path) -> None:
    with Upstream() as upstream, TokenEndpoint() as endpoint, TokenEndpoint() as broken:
        config = write_sources(tmp_path, upstream, endpoint, broken)
        process = Interceptor(tmp_path, config, "--no-console", **EVERYTHING_LOGGED).start()
        use = Used(process, Canaries(CANARIES), upstream)
        with locked(process.database):
            for provider in ("file", "command"):
                send_everything(use, upstream, provider)
            send_the_clients_own(use, upstream)
            process.terminate()
            assert process.wait() == 0
        spooled = list((process.config_dir / "spool").iterdir())
        assert spooled
        for path in spooled:
            assert use.canaries.found_in(path.read_bytes()) == [], path
        with running(process):
            process.wait_for_flows(use.sent)
            bodies = list(process.bodies())
            assert bodies
            assert [use.canaries.found_within(body) for body in bodies if body] == [[]] * len(
                bodies
            )
        assert list((process.config_dir / "spool").iterdir()) == []


def test_the_log_was_at_debug_and_told_of_the_token_endpoint(used: Used) -> None:
    lines = (used.process.config_dir / "ccproxy.log").read_text().splitlines()
    loggers = {line.split()[2].split(".")[0].rstrip(":") for line in lines if " DEBUG " in line}
    assert {"httpcore", "mitmproxy", "daphne", "providers"} <= loggers
    assert any("/token" in line for line in lines), "httpx tells of its requests"


def test_every_value_of_every_table(used: Used) -> None:
    scanned = set()
    for name, value in cells(used.process.database):
        assert used.canaries.found_within(value) == [], (name, value[:200])
        scanned.add(name)
    for (
        body
    ) in used.process.bodies():  # what is stored as an addition to another one is no text by itself
        assert used.canaries.found_within(body) == [], body[:200]
    assert {
        "flows_flowbody.blob",
        "providers_credentialstate.tokens",
        "flows_flowparts.headers",
    } <= scanned
    [state, *_] = used.process.rows(
        "select tokens from providers_credentialstate where tokens != ''"
    )
    assert state["tokens"].startswith("gAAAA"), "kept, and encrypted"


def test_answers_of_the_proxy_itself(used: Used) -> None:
    assert len(used.replies) == 6
    for reply in used.replies:
        assert used.canaries.found_in(repr(reply.headers).encode() + reply.body) == []


def test_live_messages(used: Used) -> None:
    whole = b"\n".join(used.live)
    assert whole.count(b"that was it") >= 4
    assert b'"phase"' in whole, "the list was told too"
    assert used.canaries.found_in(whole) == []


def test_rest_api(used: Used) -> None:
    with Console(used.process) as console:
        flows = used.process.flows()
        assert len(flows) == used.sent
        paths = [
            "/api/flows/",
            "/api/flows/?limit=500",
            "/api/flows/har/",
            "/api/providers/",
            "/api/interceptors/",
        ]
        paths += [
            "/api/schema/",
            "/api/audit/",
            "/api/client-tokens/",
            "/api/hooks/",
            "/api/rules/",
        ]
        for flow in flows[::2]:
            paths += [f"/api/flows/{flow['id']}/", f"/api/flows/{flow['id']}/as/curl/"]
            paths += [
                f"/api/flows/{flow['id']}/body/{side}/"
                for side in ("client", "forwarded", "upstream", "delivered")
            ]
        for path in paths:
            reply = console.api.get(path)
            assert reply.status_code == 200 or "/body/" in path or "/as/" in path, (
                path,
                reply.text,
            )
            assert used.canaries.found_within(reply.content) == [], path
        one = console.api.get(
            f"/api/flows/{flows[0]['id']}/", headers={"Accept": "application/har+json"}
        )
        assert used.canaries.found_in(one.content) == []
        for path in (
            "/api/flows/nowhere/",
            "/api/flows/?limit=x",
            "/api/nowhere/",
            "/api/flows/?jq=.",
        ):
            assert used.canaries.found_in(console.api.get(path).content) == [], path


def test_pages(used: Used) -> None:
    """Every model's list and change pages, and every page that can be reached from there and from
    the flow list.
    """
    lists = used.process.call(steps.admin_lists)
    assert len(lists) > 10
    with Console(used.process) as console:
        flows = [f"/flows/{flow['id']}/" for flow in used.process.flows()[::4]]
        waiting = [
            "/admin/providers/provider/auth-board/",
            "/flows/",
            "/usage/",
            "/explain/",
            "/admin/",
        ]
        waiting += [*lists, *flows]
        waiting += [
            "/flows/nowhere/",
            "/nowhere/",
            "/admin/nowhere/",
            "/flows/?jq=(((",
            "/flows/har",
        ]
        wanted, visited = set(waiting), set[str]()
        looked_at = Counter[str]()
        while waiting:
            path = waiting.pop(0)
            kind = kind_of(path)
            if path in visited or (looked_at[kind] >= OF_A_KIND and path not in wanted):
                continue
            visited.add(path)
            looked_at[kind] += 1
            reply = console.pages.get(path)
            assert reply.status_code < 500, path
            assert used.canaries.found_in(reply.content) == [], path
            links = re.findall(r'(?:href|hx-get)="(/[^"#]*)"', reply.text)
            waiting += [html.unescape(link) for link in links if _worth(link)]
        assert not {*lists, *flows} - visited
        assert any("/admin/providers/provider/" in path and "change" in path for path in visited), (
            visited
        )


def kind_of(path: str) -> str:
    """Return what pages of a kind have in common.

    Example: /flows/?tab=chat&page=7 → /flows/?tab=chat&page, /admin/providers/rule/12/ →
    /admin/providers/rule/*/.
    """
    address, _, query = path.partition("?")
    named = [part if part.startswith(CHOOSES) else part.split("=")[0] for part in query.split("&")]
    return f"{NUMBERS.sub('*', address)}?{'&'.join(sorted(named))}"


def _worth(link: str) -> bool:
    return (
        link.startswith(("/flows", "/admin", "/usage"))
        and "logout" not in link
        and "delete" not in link
    )


def test_commands(used: Used) -> None:
    flow = used.process.flows()[0]["id"]
    commands = [
        ["exportconfig"],
        ["flows", "list"],
        ["flows", "list", "--json"],
        ["flows", "dump"],
        ["flows", "compare", "--headers"],
        ["flows", "as", "curl", flow],
        ["flows", "as", "markdown", flow, "--forwarded"],
    ]
    printed = used.process.call(steps.printed_by, commands)
    assert len(printed) == len(commands)
    for part in printed:
        assert len(part) > 100, part
        assert used.canaries.found_in(part.encode()) == [], part[:50]
    logs = used.process.command("interceptorlogs", "-n", "5000").stdout
    assert len(logs) > 5000
    assert used.canaries.found_in(logs.encode()) == []


def test_the_encryption_key_is_rotated_while_it_runs(used: Used) -> None:
    key_file = used.process.config_dir / "secret.key"
    old = key_file.read_text()
    done = used.process.command("rotatekey", "--json")
    assert json.loads(done.stdout)["dropped"] == 1, done.stderr
    assert old.strip() not in key_file.read_text()
    used.upstream.scripts["/v1/messages"] = plainly
    for provider, secret in (("key", CANARIES["key"]), ("login", spell("access", 3))):
        assert send(used, provider).status == 400
        assert credential_of(used.upstream.last) == secret
    used.process.settle()
    assert send(used, "key").status == 400
    assert credential_of(used.upstream.last) == CANARIES["key"]
