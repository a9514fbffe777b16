"""A running proxy sends a span for each flow, the last ones at its stop."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.conftest import config_for
from tests.e2e.process import Interceptor, running
from tests.fakes.otlp_collector import GrpcCollector, attributes
from tests.fakes.upstream import Upstream

BODY = b'{"model":"demo","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}'
TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {
    "x-api-key": "sk-ccproxy-up",
    "content-type": "application/json",
    "traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01",
}


@pytest.fixture(scope="module")
def collector() -> Iterator[GrpcCollector]:
    with GrpcCollector() as server:
        yield server


@pytest.fixture(scope="module")
def traced(
    upstream: Upstream, collector: GrpcCollector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Interceptor]:
    """A proxy that exports, without a console."""
    folder = tmp_path_factory.mktemp("telemetry")
    config = config_for(upstream, folder)
    config += f"otel: {{enabled: true, endpoint: '{collector.url}', service_name: e2e}}\n"
    with running(Interceptor(folder, config, "--no-console")) as process:
        yield process


def ask(interceptor: Interceptor) -> str:
    """Send a request; return the id of its flow."""
    url = f"{interceptor.url}/v1/messages?key=AIzaSyA1234567890abcdefghijklmnopqrstuv"
    answer = httpx.post(url, content=BODY, headers=HEADERS, trust_env=False)
    assert answer.status_code == 200
    return answer.headers["x-ccproxy-flow"]


def test_a_flow_is_a_span_below_its_client_s(traced: Interceptor, collector: GrpcCollector) -> None:
    flow = traced.flow(ask(traced))
    collector.wait_for(1)
    (span,) = [found for found in collector.spans if found.name.startswith("ccproxy.inbound.")]
    assert span.name == "ccproxy.inbound.POST 127.0.0.1"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE_ID, PARENT_ID)
    said = attributes(span.attributes)
    assert said["ccproxy.trace_id"] == flow["id"]
    assert said["gen_ai.usage.input_tokens"] == flow["input_tokens"]
    assert said["gen_ai.response.finish_reasons"] == ["end_turn"]
    assert "AIza" not in said["url.full"]
    assert said["url.full"] == flow["client_url"]
    children = {found.name for found in collector.spans if found.parent_span_id == span.span_id}
    assert {"ccproxy.credential", "ccproxy.upstream"} <= children
    (group, *_) = collector.resource_spans
    assert attributes(group.resource.attributes)["service.name"] == "e2e"


def test_the_stop_sends_what_waits(traced: Interceptor, collector: GrpcCollector) -> None:
    flow_id = ask(traced)
    traced.stop()
    ids = [attributes(span.attributes).get("ccproxy.trace_id") for span in collector.spans]
    assert flow_id in ids
