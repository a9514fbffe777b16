"""Spans reach a real gRPC collector and say what the record says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ccproxy_site.telemetry.recorder_telemetry import tracing_conf
from flows.models import Flow
from flows.telemetry.flow_attributes import SpanConf
from flows.telemetry.tracing import tracing_of
from interceptor.config.files.server import ServerSettings
from providers.auth.registry import SecretRegistry
from tests.fakes.otlp_collector import GrpcCollector, HttpCollector, attributes
from tests.flows.records import side
from tests.flows.telemetry.model_calls import KINDS, anthropic
from tests.flows.telemetry.traced import root, written
from tests.patience import PATIENCE_S

KIND_IDS = {f"00000000-0000-4000-8000-{number:012x}": kind for number, kind in enumerate(KINDS, 1)}


def settings(endpoint: str, **changes: Any) -> ServerSettings:
    otel = {"enabled": True, "endpoint": endpoint} | changes
    return ServerSettings.model_validate({"otel": otel})


@pytest.fixture(scope="module")
def collected() -> Iterator[tuple[GrpcCollector, dict[str, Flow]]]:
    """A collector that got the spans of a flow of each kind, and the flows' rows by kind."""
    rows: dict[str, Flow] = {}
    with GrpcCollector() as collector:
        tracing = tracing_of(tracing_conf(settings(collector.url, service_name="my-proxy")), {})
        assert tracing is not None
        tracing.start()
        for flow_id, kind in KIND_IDS.items():
            rows[kind] = written(KINDS[kind](id=flow_id), tracing.finished)
        # What waits is sent at the stop.
        tracing.close(PATIENCE_S)
        yield collector, rows


def roots(collector: GrpcCollector) -> dict[str, Any]:
    """The flows' own spans by kind."""
    found = {}
    for span in collector.spans:
        flow_id = attributes(span.attributes).get("ccproxy.trace_id")
        if flow_id is not None:
            found[KIND_IDS[flow_id]] = span
    return found


def test_each_flow_is_one_span(collected: Any) -> None:
    collector, rows = collected
    assert sorted(roots(collector)) == sorted(rows)
    ids = [span.span_id for span in collector.spans]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("kind", KINDS)
def test_the_span_says_what_the_row_says(collected: Any, kind: str) -> None:
    collector, rows = collected
    span, row = roots(collector)[kind], rows[kind]
    said = attributes(span.attributes)
    told = {
        "http.request.method": row.method,
        "http.response.status_code": row.status_code,
        "url.full": row.client_url,
        "user_agent.original": row.user_agent,
        "ccproxy.provider": row.provider,
        "ccproxy.action": row.action,
        "ccproxy.rule": row.rule or None,
        "ccproxy.session_id": row.session_id,
        "ctx.metadata.session_id": row.session_id,
        "ccproxy.requested_model": row.requested_model or None,
        "ccproxy.duration_ms": row.duration_ms,
        "ccproxy.config_revision": row.revision,
        "gen_ai.request.model": row.sent_model or row.requested_model,
        "gen_ai.usage.input_tokens": row.input_tokens,
        "gen_ai.usage.output_tokens": row.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": row.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": row.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": row.reasoning_tokens,
        "gen_ai.conversation.id": row.session_id,
        "server.address": row.host,
        "server.port": 443,
    }
    assert {name: said.get(name) for name in told} == told
    assert span.start_time_unix_nano == round(row.started_at.timestamp() * 1e6) * 1000
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1_500_000_000
    assert span.trace_id.hex() == row.id.replace("-", "")


def test_the_resource_names_the_service(collected: Any) -> None:
    collector, _ = collected
    for group in collector.resource_spans:
        assert attributes(group.resource.attributes)["service.name"] == "my-proxy"
        assert [scope.scope.name for scope in group.scope_spans] == ["my-proxy"]


def test_http_protobuf() -> None:
    with HttpCollector() as collector:
        conf = tracing_conf(settings(collector.url, protocol="http/protobuf"))
        tracing = tracing_of(conf, {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"})
        assert tracing is not None
        tracing.start()
        written(anthropic(), tracing.finished)
        tracing.close(PATIENCE_S)
        assert collector.paths == ["/v1/traces"]
        assert collector.spans[0].name == "ccproxy.inbound.POST api.anthropic.com"
        assert collector.metadata[0]["content-type"] == "application/x-protobuf"


def test_content_is_captured_where_that_is_set() -> None:
    conf = tracing_conf(ServerSettings.model_validate({"otel": {"capture_content": True}})).spans
    said = root(anthropic(), conf)
    assert json.loads(said["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Say hello."}]}
    ]
    assert json.loads(said["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "Hello."}],
            "finish_reason": "end_turn",
        }
    ]
    off = tracing_conf(ServerSettings()).spans
    assert not {name for name in root(anthropic(), off) if name.endswith(".messages")}


def test_captured_content_is_redacted_and_bounded() -> None:
    secret = "sk-ant-oat01-Zq8vT3xLw0Rk5Bn7Yc2Md9Pf4Hs6Jg1Ae"
    registry = SecretRegistry()
    registry.add(secret)
    turns = [{"role": "user", "content": f"{number} {secret} {'x' * 9000}"} for number in range(20)]
    request = {"model": "m", "system": "Be kind.", "messages": turns}
    record = anthropic()
    body = json.dumps(request).encode()
    record = replace(record, sides=(side("client", body), *record.sides[1:]))
    said = root(record, SpanConf(capture_content=True), registry)
    text = said["gen_ai.input.messages"]
    assert secret not in text
    assert len(text.encode()) <= 32 * 1024
    messages = json.loads(text)
    assert [message["parts"][0]["content"][:2] for message in messages] == ["17", "18", "19"]
    assert json.loads(said["gen_ai.system_instructions"]) == [
        {"type": "text", "content": "Be kind."}
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_content_of_each_kind_can_be_read(kind: str) -> None:
    said = root(KINDS[kind](), SpanConf(capture_content=True))
    for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
        assert isinstance(json.loads(said.get(name, "[]")), list)
    assert ("gen_ai.output.messages" in said) == (kind not in ("failed", "websocket"))


def test_enabled_false_is_no_export() -> None:
    assert tracing_of(tracing_conf(ServerSettings()), {}) is None


def test_legacy_names_and_provider_map() -> None:
    said: list[dict[str, Any]] = []
    changed = {"provider_map": {"api.anthropic.com": "mine"}}
    for otel in ({}, {"legacy_names": False}):
        conf = tracing_conf(
            ServerSettings.model_validate({"otel": otel, "inspector": changed})
        ).spans
        said.append(root(anthropic(), conf))
    assert said[0]["gen_ai.system"] == "mine"
    assert "gen_ai.system" not in said[1]
    assert said[0]["gen_ai.provider.name"] == said[1]["gen_ai.provider.name"] == "anthropic"
