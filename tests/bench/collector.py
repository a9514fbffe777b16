"""An OTLP collector as a process: prints its port, then counts what it gets. For `telemetry`."""

from __future__ import annotations

import sys

from tests.fakes.otlp_collector import GrpcCollector


def main() -> None:
    """Serve until standard input ends; a line asks for the number of spans so far."""
    with GrpcCollector() as collector:
        print(collector.port, flush=True)
        for _ in sys.stdin:
            print(len(collector.spans), flush=True)


if __name__ == "__main__":
    main()
