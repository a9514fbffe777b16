"""Providers over TLS: HTTP/2 where it is offered, and a credential only for a certificate that is
trusted.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import raw
from tests.e2e.conftest import REAL_KEY
from tests.e2e.process import Interceptor, running
from tests.e2e.test_stream import delta
from tests.fakes.certificates import make_authority
from tests.fakes.http2 import Http2Upstream
from tests.fakes.upstream import Script, Upstream

BODY = b'{"model": "demo", "max_tokens": 9, "messages": []}'


@pytest.fixture(scope="module")
def servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Interceptor, Upstream, Upstream]]:
    """An interceptor in front of an HTTP/2 provider, and of one whose certificate nobody vouches
    for.
    """
    folder = tmp_path_factory.mktemp("tls")
    (folder / "other").mkdir()
    trusted, stranger = make_authority(folder), make_authority(folder / "other")
    (folder / "key").write_text(REAL_KEY)
    with (
        Http2Upstream(trusted.server_context(["h2", "http/1.1"])) as modern,
        Upstream(stranger.server_context(["http/1.1"])) as untrusted,
    ):
        config = (
            "inspector: {mitmproxy: {ssl_verify_upstream_trusted_ca:"
            f" {trusted.ca_file}}}}}\nproviders:\n"
        )
        for name, upstream in (("modern", modern), ("untrusted", untrusted)):
            config += (
                f"  {name}: {{type: anthropic, host: localhost, port: {upstream.port}, path:"
                " /v1/messages, "
            )
            config += f"auth: {{file: {folder}/key, header: x-api-key}}}}\n"
        with running(Interceptor(folder, config, "--no-console")) as process:
            yield process, modern, untrusted


def send(process: Interceptor, provider: str) -> raw.Answer:
    head = [
        ("Host", "127.0.0.1"),
        ("x-api-key", f"sk-ccproxy-{provider}"),
        ("X-Own", "1"),
        ("Content-Length", str(len(BODY))),
    ]
    return raw.exchange(process.port, raw.request("POST", "/v1/messages?beta=true", head, BODY))


def test_http2_to_the_provider_and_http1_to_the_client(
    servers: tuple[Interceptor, Upstream, Upstream],
) -> None:
    process, upstream, _ = servers
    assert send(process, "modern").status == 200
    seen = upstream.last
    assert (seen.version, seen.target, seen.body) == ("HTTP/2", "/v1/messages?beta=true", BODY)
    assert (seen.header("x-api-key"), seen.header("x-own")) == (REAL_KEY, "1")
    assert not any("ccproxy" in name.lower() or "ccproxy" in value for name, value in seen.headers)


def test_a_stream_over_http2_is_byte_identical(
    servers: tuple[Interceptor, Upstream, Upstream],
) -> None:
    process, upstream, _ = servers
    events = tuple(delta(number) for number in range(30))
    upstream.scripts["/v1/messages"] = Script(
        200, (("content-type", "text/event-stream"),), events, 0.005
    )
    answer = send(process, "modern")
    upstream.scripts.clear()
    assert (answer.status, answer.complete, answer.body) == (200, True, b"".join(events))


def test_an_untrusted_certificate_gets_no_request(
    servers: tuple[Interceptor, Upstream, Upstream],
) -> None:
    process, _, upstream = servers
    answer = send(process, "untrusted")
    assert answer.status == 502
    assert answer.json["type"] == "error"
    assert "certificate" in answer.json["error"]["message"].lower()
    assert upstream.requests == []
