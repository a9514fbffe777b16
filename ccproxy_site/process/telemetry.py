"""Telemetry of a process: its configuration from the settings, and the service that ends it."""

from __future__ import annotations

import asyncio

from flows.telemetry.flow_attributes import SpanConf
from flows.telemetry.tracing import Tracing, TracingConf
from interceptor.config.files.server import ServerSettings

FLUSH_TIMEOUT_S = 3.0
"""How long a stop waits for a collector."""


def tracing_conf(settings: ServerSettings) -> TracingConf:
    """Return what the settings say of the export of spans."""
    otel = settings.otel
    return TracingConf(
        enabled=otel.enabled,
        endpoint=otel.endpoint,
        service_name=otel.service_name,
        protocol=otel.protocol,
        spans=SpanConf(
            provider_map=settings.inspector.provider_map,
            legacy_names=otel.legacy_names,
        ),
    )


class TracingService:
    """The thread that sends spans. It outlives the writer, which makes the last ones."""

    name = "the export of spans"
    stop_limit_s = FLUSH_TIMEOUT_S + 2.0

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    async def start(self) -> None:
        """Start the thread; it connects with the first spans."""
        self._tracing.start()

    async def stop(self) -> None:
        """Send what waits, for a few seconds at most."""
        await asyncio.to_thread(self._tracing.close, FLUSH_TIMEOUT_S)
