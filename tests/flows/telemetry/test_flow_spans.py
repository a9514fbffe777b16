"""Spans of flows: parents, children, times, status, and no secrets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from flows.record import FlowRecord, HookStep
from flows.redaction.redactor import Redactor
from flows.telemetry.flow_attributes import SpanConf
from flows.telemetry.flow_spans import SpanMaker
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.fakes.otlp_collector import attributes
from tests.flows.records import flow, side
from tests.flows.telemetry.model_calls import (
    FLOW_ID,
    anthropic,
    anthropic_stream,
    failed,
    google,
    openai_stream,
    responses,
    retried,
    translated,
    websocket,
)
from tests.flows.telemetry.traced import root, spans, written

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CLIENT, SERVER = 3, 2


def named(found: list[Any]) -> dict[str, Any]:
    return {span.name: span for span in found}


def test_the_children_of_a_flow() -> None:
    found = named(spans(translated()))
    assert list(found) == [
        "ccproxy.inbound.POST api.openai.com",
        "ccproxy.hook extract_session_id",
        "ccproxy.credential",
        "ccproxy.translation",
        "ccproxy.upstream",
    ]
    own = found["ccproxy.inbound.POST api.openai.com"]
    assert {span.parent_span_id for span in found.values()} == {b"", own.span_id}
    assert {span.trace_id for span in found.values()} == {own.trace_id}


def test_the_times_are_those_of_the_record() -> None:
    found = spans(anthropic_stream())
    own = found[0]
    start_ns = own.start_time_unix_nano
    at_ms = {
        span.name: (
            (span.start_time_unix_nano - start_ns) / 1e6,
            (span.end_time_unix_nano - start_ns) / 1e6,
        )
        for span in found[1:]
    }
    assert at_ms == {
        "ccproxy.hook extract_session_id": (2.0, 3.0),
        "ccproxy.credential": (4.0, 7.5),
        "ccproxy.upstream": (7.5, 1500.0),
    }
    events = {event.name: (event.time_unix_nano - start_ns) / 1e6 for event in own.events}
    assert events == {"ccproxy.first_byte": 400.0, "ccproxy.first_token": 620.0}
    said = attributes(own.attributes)
    assert (said["ccproxy.ttft_ms"], said["gen_ai.response.time_to_first_chunk"]) == (620.0, 0.62)


def test_each_attempt_is_a_span() -> None:
    found = named(spans(retried()))
    upstream = found["ccproxy.upstream"]
    attempts = [span for name, span in found.items() if name.startswith("ccproxy.attempt")]
    assert {span.parent_span_id for span in attempts} == {upstream.span_id}
    said = [attributes(span.attributes) for span in attempts]
    assert [one.get("http.response.status_code") for one in said] == [503, None, 200]
    assert [one.get("error.type") for one in said] == ["503", "connect", None]
    assert [one.get("http.request.resend_count") for one in said] == [None, 1, 2]
    assert [one["server.address"] for one in said] == ["api.anthropic.com"] * 2 + ["b.example"]
    assert [span.status.code for span in attempts] == [2, 2, 0]
    assert root(retried())["ccproxy.retry.count"] == 2
    took_ms = [(span.end_time_unix_nano - span.start_time_unix_nano) / 1e6 for span in attempts]
    assert took_ms == [90.0, 20.0, 1120.0]


@pytest.mark.parametrize(
    ("headers", "trace", "parent"),
    [
        ((("traceparent", f"00-{TRACE}-{PARENT}-01"),), TRACE, PARENT),
        ((("Traceparent", f"cc-{TRACE}-{PARENT}-01-more"),), TRACE, PARENT),
        ((("traceparent", f"00-{TRACE}-{PARENT}-01-more"),), None, ""),
        ((("traceparent", f"ff-{TRACE}-{PARENT}-01"),), None, ""),
        ((("traceparent", f"00-{'0' * 32}-{PARENT}-01"),), None, ""),
        ((("traceparent", f"00-{TRACE}-{'0' * 16}-01"),), None, ""),
        ((("traceparent", f"00-{TRACE.upper()}-{PARENT}-01"),), None, ""),
        ((("traceparent", f"00-{TRACE}-{PARENT}-01"),) * 2, None, ""),
        ((("traceparent", "nonsense"),), None, ""),
    ],
)
def test_the_client_s_span_is_the_parent(headers: Any, trace: str | None, parent: str) -> None:
    own = spans(anthropic(client_headers=headers))[0]
    assert own.trace_id.hex() == (trace or FLOW_ID.replace("-", ""))
    assert own.parent_span_id.hex() == parent
    assert own.flags == (0x301 if parent else 0x101)


def test_the_state_of_the_trace_goes_on() -> None:
    headers = (
        ("traceparent", f"00-{TRACE}-{PARENT}-01"),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
    )
    assert spans(anthropic(client_headers=headers))[0].trace_state == "a=1,b=2"


def test_a_trace_that_is_not_sampled_has_no_spans() -> None:
    assert not spans(anthropic(client_headers=(("traceparent", f"00-{TRACE}-{PARENT}-00"),)))


def test_what_each_format_says() -> None:
    """(finish reasons, response id, response model, provider, operation) of each format."""
    keys = (
        "gen_ai.response.finish_reasons",
        "gen_ai.response.id",
        "gen_ai.response.model",
        "gen_ai.provider.name",
        "gen_ai.operation.name",
    )
    model = "claude-sonnet-4-5-20250929"
    expected = {
        anthropic: (["end_turn"], "msg_01", model, "anthropic", "chat"),
        anthropic_stream: (["max_tokens"], "msg_02", model, "anthropic", "chat"),
        openai_stream: (["stop", "length"], "chatcmpl-1", "gpt-4o-2024-08-06", "openai", "chat"),
        responses: (["max_output_tokens"], "resp_1", "gpt-5", "openai", "chat"),
        google: (["STOP"], "g-1", "gemini-2.5-pro-001", "gcp.gemini", "generate_content"),
        translated: (["stop", "length"], "chatcmpl-1", "gpt-4o-2024-08-06", "openai", "chat"),
        failed: (None, None, None, "anthropic", "chat"),
        websocket: (["completed"], "resp_ws", "gpt-5-codex", "openai", "chat"),
    }
    for kind, values in expected.items():
        said = root(kind())
        assert tuple(said.get(key) for key in keys) == values, kind.__name__


def test_the_options_of_a_request() -> None:
    said = root(anthropic())
    assert said["gen_ai.request.max_tokens"] == 1024
    assert said["gen_ai.request.stop_sequences"] == ["END"]
    said = root(openai_stream())
    assert (said["gen_ai.request.choice.count"], said["gen_ai.request.seed"]) == (2, 5)
    assert said["gen_ai.request.max_tokens"] == 99
    said = root(google())
    assert (said["gen_ai.request.max_tokens"], said["gen_ai.request.top_k"]) == (7, 3.0)


def test_a_request_that_asks_no_model_has_no_genai_names() -> None:
    own = spans(flow(path="/v1/messages/count_tokens", client_format="anthropic_messages"))[0]
    assert own.kind == SERVER
    assert not [name for name in attributes(own.attributes) if name.startswith("gen_ai.")]
    assert spans(anthropic())[0].kind == CLIENT


@pytest.mark.parametrize(
    ("changes", "code", "error_type"),
    [
        ({}, 0, None),
        ({"status_code": 404}, 2, "404"),
        (
            {"state": "error", "error": "no response from h:443: refused", "status_code": None},
            2,
            "_OTHER",
        ),
        ({"state": "error", "error": "it timed out", "status_code": None}, 2, "timeout"),
        ({"state": "error", "error": "Client disconnected."}, 0, "client_disconnected"),
        (
            {"state": "error", "error": "Client disconnected.", "status_code": None},
            2,
            "client_disconnected",
        ),
    ],
)
def test_status_and_error(changes: Any, code: int, error_type: str | None) -> None:
    own = spans(anthropic(**changes))[0]
    said = attributes(own.attributes)
    assert (own.status.code, said.get("error.type")) == (code, error_type)
    is_gone = error_type == "client_disconnected" and code == 0
    assert said.get("ccproxy.client_disconnected") == (True if is_gone else None)
    assert ("error.message" in said) == (bool(changes.get("error")) and not is_gone)


def test_a_failure_within_a_stream_is_one() -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Busy"}}\n\n'
    base = anthropic_stream()
    own = spans(
        replace(base, sides=(*base.sides[:2], side("upstream", error), side("delivered", error)))
    )[0]
    assert (own.status.code, own.status.message) == (2, "Busy")


def test_no_secret_leaves() -> None:
    secret = "sk-ant-oat01-Zq8vT3xLw0Rk5Bn7Yc2Md9Pf4Hs6Jg1Ae"
    registry = SecretRegistry()
    registry.add(secret)
    record = google(
        error=f"refused {secret}",
        state="error",
        user_agent=f"agent {secret}",
        client_headers=(("authorization", f"Bearer {secret}"),),
        rule=secret,
        run_label=secret,
        hooks=(HookStep("inbound", "x", "error", f"bad {secret}", changed=(f"meta:{secret}",)),),
    )
    record = replace(record, attempts=tuple(replace(a, reason=secret) for a in retried().attempts))
    for span in spans(record, registry=registry):
        text = str(span)
        assert secret not in text
        assert "AIzaSyA" not in text
        assert not [part for part in range(len(secret) - 14) if secret[part : part + 14] in text]


def test_broken_texts_do_not_break_a_span() -> None:
    said = root(anthropic(user_agent="a\udcffb", host="x" * 10_000, rule="\0"))
    assert said["user_agent.original"] in ("a?b", "a\\xffb")
    assert len(said["server.address"]) == 4096


def test_flows_that_are_alike_share_no_value() -> None:
    secret = "sk-ant-oat01-Qm4xT7vLw2Rk9Bn1Yc6Md3Pf8Hs5Jg0Be"
    registry = SecretRegistry()
    redactor = Redactor(registry)
    maker = SpanMaker(SpanConf())
    encoded: list[bytes] = []
    builder = RowBuilder(redactor, tuple, [lambda flow: encoded.append(maker.spans_of(flow).data)])
    step = HookStep("inbound", "own", "ran", f"saw {secret}", 1.0, 2.0, ("body",), started_ms=3.0)
    first = anthropic(hooks=(step,))
    later = replace(step, started_ms=7.0, apply_ms=5.0)
    alike = anthropic(hooks=(later,), id=str(UUID(int=7)))
    other = anthropic(hooks=(replace(step, changed=("url",)),), provider="")
    for record in (first, alike, other):
        builder.build(record)
    # From here on, the reason that was kept has a secret.
    registry.add(secret)
    builder.build(alike)
    assert encoded[:3] == [encoded_alone(record) for record in (first, alike, other)]
    assert encoded[3] == encoded_alone(alike, registry)
    assert secret.encode() in encoded[1] and secret.encode() not in encoded[3]


def encoded_alone(record: FlowRecord, registry: SecretRegistry | None = None) -> bytes:
    """The spans of a flow by a maker that saw no other."""
    found: list[bytes] = []
    maker = SpanMaker(SpanConf())
    written(record, lambda flow: found.append(maker.spans_of(flow).data), registry)
    return found[0]
