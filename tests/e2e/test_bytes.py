"""What no hook changed leaves as it came: bodies of every kind, paths, queries, side calls."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.e2e import raw
from tests.e2e.conftest import REAL_KEY
from tests.e2e.process import Interceptor
from tests.fakes.upstream import Script, Upstream

KEY = ("x-api-key", "sk-ccproxy-up")
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n\x00\xff\r\n--b--\r\n'
)
JSON = (
    b'{ "model":"demo",  "messages":[{"role":"user","content":"\\u00e4'
    b' \xc3\xa4"}],"max_tokens":1e1 }\n'
)


def send(
    proxy: Interceptor, method: str, target: str, body: bytes = b"", *headers: tuple[str, str]
) -> raw.Answer:
    head = [("Host", f"127.0.0.1:{proxy.port}"), KEY, *headers]
    if body or method in ("POST", "PUT"):
        head.append(("Content-Length", str(len(body))))
    return raw.exchange(proxy.port, raw.request(method, target, head, body))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", JSON),
        ("application/json", b""),
        ("application/json", b"{not json"),
        ("application/json", b"[1,2]"),
        ("application/json", b"\xff\xfe\x00"),
        ("application/x-www-form-urlencoded", b"a=1&b=%20&a=2&model=demo"),
        ("multipart/form-data; boundary=b", MULTIPART),
        ("application/octet-stream", bytes(range(256)) * 4096),
    ],
)
def test_bodies_pass_byte_for_byte(
    upstream: Upstream, interceptor: Interceptor, content_type: str, body: bytes
) -> None:
    answer = send(interceptor, "POST", "/v1/messages", body, ("Content-Type", content_type))
    assert answer.status == 200
    assert upstream.last.body == body
    assert upstream.last.header("content-type") == content_type
    assert upstream.last.header("content-length") == str(len(body))


def test_a_compressed_body_is_understood_and_left_as_it_is(
    upstream: Upstream, interceptor: Interceptor
) -> None:
    body = gzip.compress(JSON, mtime=0)
    answer = send(interceptor, "POST", "/v1/messages?beta=true", body, ("Content-Encoding", "gzip"))
    assert answer.status == 200
    assert (upstream.last.target, upstream.last.body) == ("/v1/messages?beta=true", body)
    flow = interceptor.flow(answer.flow_id)
    assert flow["requested_model"] == "demo"
    assert interceptor.sides(flow["id"])["client"]["body"] == body


def test_a_chunked_body_arrives_whole(upstream: Upstream, interceptor: Interceptor) -> None:
    head = [
        ("Host", "127.0.0.1"),
        KEY,
        ("Transfer-Encoding", "chunked"),
        ("Content-Type", "application/json"),
    ]
    chunks = (
        b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (JSON[:9], JSON[9:]))
        + b"0\r\n\r\n"
    )
    answer = raw.exchange(interceptor.port, raw.request("POST", "/v1/messages", head, chunks))
    assert answer.status == 200
    assert upstream.last.body == JSON


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/v1/messages/count_tokens?beta=true"),
        ("GET", "/v1/files?limit=3&after_id=x%2Fy"),
        ("DELETE", "/v1/files/file_1"),
        ("POST", "/v1/messages/batches"),
        ("HEAD", "/"),
        ("HEAD", "/api/hello"),
        ("GET", "/api/claude_code/settings"),
        ("POST", "/api/event_logging/v2/batch"),
        ("OPTIONS", "/v1/messages"),
        ("GET", "/odd/%7Epath//x;y=1?q=a+b&&="),
    ],
)
def test_side_calls_with_a_sentinel_keep_their_path(
    upstream: Upstream, interceptor: Interceptor, method: str, target: str
) -> None:
    upstream.scripts[target.partition("?")[0]] = Script(pieces=(b'{"ok": 1}',))
    answer = send(interceptor, method, target, b'{"a": 1}' if method == "POST" else b"")
    assert answer.status == 200
    assert (upstream.last.method, upstream.last.target) == (method, target)
    assert upstream.last.header("authorization") == f"Bearer {REAL_KEY}"


def test_internal_headers_never_leave(upstream: Upstream, interceptor: Interceptor) -> None:
    ours = (("x-ccproxy-hooks", "-verbose_mode"), ("x-ccproxy-other", "t0p-secret-token"))
    assert send(interceptor, "POST", "/v1/messages", JSON, *ours).status == 200
    assert b"ccproxy" not in upstream.last.head.lower()
    assert b"t0p-secret-token" not in upstream.last.head


def test_several_requests_on_one_connection(upstream: Upstream, interceptor: Interceptor) -> None:
    with raw.connection(interceptor.port) as client:
        for number in range(5):
            body = json.dumps({"model": "demo", "max_tokens": number + 1, "messages": []}).encode()
            head = [("Host", "127.0.0.1"), KEY, ("Content-Length", str(len(body)))]
            client.sendall(raw.request("POST", "/v1/messages", head, body))
            assert raw.read_answer(client).status == 200
            assert upstream.last.body == body


def test_repeated_and_oddly_written_headers_keep_order_and_case(
    upstream: Upstream, interceptor: Interceptor
) -> None:
    odd = [
        ("X-Two", "1"),
        ("aNtHrOpIc-BeTa", "a,b"),
        ("x-two", "2"),
        ("X-Empty", ""),
        ("Anthropic-Version", "2023-06-01"),
    ]
    send(interceptor, "POST", "/v1/messages", JSON, *odd)
    names = {name.lower() for name, _ in odd}
    assert [(n, v) for n, v in upstream.last.headers if n.lower() in names] == odd


def test_the_gemini_key_in_the_query_is_replaced_too(
    upstream: Upstream, interceptor: Interceptor
) -> None:
    target = "/v1beta/models/demo:streamGenerateContent?alt=sse&key=sk-ccproxy-up&x=1"
    body = b'{"contents":[{"parts":[{"text":"Hi"}]}]}'
    head = [("Host", "127.0.0.1"), ("Content-Length", str(len(body)))]
    answer = raw.exchange(interceptor.port, raw.request("POST", target, head, body))
    assert answer.status == 200
    assert upstream.last.target == "/v1beta/models/demo:streamGenerateContent?alt=sse&x=1"
    assert upstream.last.header("authorization") == f"Bearer {REAL_KEY}"
