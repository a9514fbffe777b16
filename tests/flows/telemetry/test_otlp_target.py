"""Where telemetry goes: settings, standard variables, TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.telemetry.otlp_sender import SendError, sender_to
from flows.telemetry.otlp_span import encode_request, encode_resource
from flows.telemetry.otlp_target import DEFAULT_ENDPOINT, Protocol, target_of
from tests.fakes.certificates import make_authority
from tests.fakes.otlp_collector import GrpcCollector

OTLP = "OTEL_EXPORTER_OTLP_"


@pytest.mark.parametrize(
    ("endpoint", "protocol", "environ", "address", "is_plain"),
    [
        (DEFAULT_ENDPOINT, None, {}, "localhost:4317", True),
        ("https://c.example", None, {}, "c.example:4317", False),
        ("https://[::1]:9", None, {}, "[::1]:9", False),
        ("c.example:5", None, {}, "c.example:5", True),
        ("c.example:5", None, {"INSECURE": "false"}, "c.example:5", False),
        (DEFAULT_ENDPOINT, None, {"ENDPOINT": "https://v:1"}, "v:1", False),
        ("http://s:2", None, {"ENDPOINT": "https://v:1"}, "s:2", True),
        (
            DEFAULT_ENDPOINT,
            None,
            {"ENDPOINT": "https://v:1", "TRACES_ENDPOINT": "http://t:3"},
            "t:3",
            True,
        ),
        (
            DEFAULT_ENDPOINT,
            None,
            {"PROTOCOL": "http/protobuf"},
            "http://localhost:4318/v1/traces",
            True,
        ),
        (
            DEFAULT_ENDPOINT,
            "http/protobuf",
            {"ENDPOINT": "https://v/base/"},
            "https://v/base/v1/traces",
            False,
        ),
        (
            DEFAULT_ENDPOINT,
            "http/protobuf",
            {"TRACES_ENDPOINT": "http://t/as-it-is"},
            "http://t/as-it-is",
            True,
        ),
        ("http://s:2", "http/protobuf", {"PROTOCOL": "grpc"}, "http://s:2/v1/traces", True),
    ],
)
def test_the_address(
    endpoint: str,
    protocol: Protocol | None,
    environ: dict[str, str],
    address: str,
    is_plain: bool,
) -> None:
    variables = {OTLP + name: text for name, text in environ.items()}
    target = target_of("traces", endpoint, protocol, variables)
    assert (target.address, target.is_plain) == (address, is_plain)


def test_what_a_message_shows_has_no_password() -> None:
    target = target_of("traces", "http://user:secret@h:1/x?key=y", "http/protobuf", {})
    assert target.shown == "http://h:1/x"


def test_tls_with_an_authority_of_our_own(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    request = encode_request(encode_resource({"service.name": "s"}), "s", ())
    pair = (authority.chain_file, authority.chain_file)

    def send(**more: Any) -> None:
        environ = {f"{OTLP}{name}": str(text) for name, text in more.items()}
        url = f"https://localhost:{collector.port}"
        sender = sender_to(target_of("traces", url, None, environ), "traces")
        try:
            sender.send(request, 10)
        finally:
            sender.close()

    with GrpcCollector(pair, "localhost:0") as collector:
        send(CERTIFICATE=authority.ca_file, HEADERS="x-key=1")
        assert collector.metadata[0]["x-key"] == "1"
        with pytest.raises(SendError) as refused:
            send()
        assert not refused.value.is_final
        assert len(collector.traces) == 1
