"""An OTLP collector as a process: prints its port, then keeps what it gets. For `telemetry`.

It works beside the servers that are measured, so it does as little as it can: it counts the spans
only when it is asked.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_EXPORT_SPANS = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Collector(grpc.GenericRpcHandler):
    """Answers every call with an empty message, and counts spans."""

    def __init__(self) -> None:
        self._count = 0
        self._requests: list[bytes] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return the handler of a call: requests stay bytes."""
        is_spans = handler_call_details.method == _EXPORT_SPANS
        return grpc.unary_unary_rpc_method_handler(self._keep if is_spans else self._ignore)

    def spans(self) -> int:
        """Return the number of spans so far."""
        while self._requests:
            request = ExportTraceServiceRequest.FromString(self._requests.pop())
            for group in request.resource_spans:
                self._count += sum(len(scope.spans) for scope in group.scope_spans)
        return self._count

    def _keep(self, request: bytes, _: grpc.ServicerContext) -> bytes:
        self._requests.append(request)
        return b""

    def _ignore(self, _: bytes, __: grpc.ServicerContext) -> bytes:
        return b""


def main() -> None:
    """Serve until standard input ends; a line asks for the number of spans so far."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([collector])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    for _ in sys.stdin:
        print(collector.spans(), flush=True)
    server.stop(None)


if __name__ == "__main__":
    main()
