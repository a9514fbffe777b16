"""An OTLP collector on loopback: a gRPC server (TLS if wanted), or one of HTTP."""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from tests.patience import PATIENCE_S


def plain(value: AnyValue) -> Any:
    """The Python value of an attribute."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(member) for member in value.array_value.values]
    return getattr(value, str(kind)) if kind else None


def attributes(pairs: Any) -> dict[str, Any]:
    """Attributes of a span, an event, a point or a resource; none may stand twice."""
    found: dict[str, Any] = {}
    pair: KeyValue
    for pair in pairs:
        assert pair.key not in found
        found[pair.key] = plain(pair.value)
    return found


class Collected:
    """What a collector got; to be read by any thread."""

    def __init__(self) -> None:
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.metadata: list[dict[str, str]] = []
        self.arrived = threading.Condition()

    def add(self, kind: str, request: Any, metadata: dict[str, str]) -> None:
        with self.arrived:
            getattr(self, kind).append(request)
            self.metadata.append(metadata)
            self.arrived.notify_all()

    @property
    def resource_spans(self) -> list[ResourceSpans]:
        return [group for request in self.traces for group in request.resource_spans]

    @property
    def spans(self) -> list[Span]:
        groups = [scope for group in self.resource_spans for scope in group.scope_spans]
        return [span for scope in groups for span in scope.spans]

    def wait_for(self, count: int, kind: str = "spans") -> list[Any]:
        """The spans (or requests) once there are so many."""
        with self.arrived:
            came = self.arrived.wait_for(lambda: len(getattr(self, kind)) >= count, PATIENCE_S)
            assert came, f"{len(getattr(self, kind))} of {count} {kind} came"
            return list(getattr(self, kind))


class GrpcCollector(Collected, TraceServiceServicer, MetricsServiceServicer):
    """A real gRPC server. `refusal` is the status it answers with while it is set.

    Args:
        certificate: (key file, certificate file) for TLS.
        address: where it listens; port 0 for any free one.
    """

    def __init__(
        self, certificate: tuple[Path, Path] | None = None, address: str = "127.0.0.1:0"
    ) -> None:
        super().__init__()
        self.refusal: Any = None
        self._server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
        add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        add_MetricsServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        if certificate is None:
            self.port = self._server.add_insecure_port(address)
        else:
            key, chain = (path.read_bytes() for path in certificate)
            credentials = grpc.ssl_server_credentials([(key, chain)])
            self.port = self._server.add_secure_port(address, credentials)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Keep a request of either service."""
        if self.refusal is not None:
            context.abort(self.refusal, "scripted")
        metadata = {key: str(value) for key, value in context.invocation_metadata()}
        if isinstance(request, ExportTraceServiceRequest):
            self.add("traces", request, metadata)
            return ExportTraceServiceResponse()
        self.add("metrics", request, metadata)
        return ExportMetricsServiceResponse()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()


class HttpCollector(Collected):
    """An HTTP server that takes protobuf. `status` is what it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.paths: list[str] = []
        collected = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collected.paths.append(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                # Before the answer: whoever gets it may look at once.
                if collected.status == 200 and self.path.endswith("/metrics"):
                    collected.add("metrics", ExportMetricsServiceRequest.FromString(body), headers)
                elif collected.status == 200:
                    collected.add("traces", ExportTraceServiceRequest.FromString(body), headers)
                self.send_response(collected.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
