"""Spans of the console's requests, of Redis and of Celery, where `otel.enabled` is true.

The console and the Celery workers have it; requests of models are traced by the recorder.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from ccproxy_site.telemetry.recorder_telemetry import tracing_conf
from flows.redaction.redactor import Redactor
from flows.telemetry.otlp_sender import sender_to
from flows.telemetry.otlp_target import target_of
from flows.telemetry.tracing import TracingConf, resource_attributes
from interceptor.config.files.server import ServerSettings
from providers.auth.registry import SECRETS

logger = logging.getLogger(__name__)


def instrument_console(settings: ServerSettings) -> bool:
    """Trace the console's requests and its calls of Redis; return True where that is on.

    To be called before Django loads its middleware.
    """
    if not _provide(tracing_conf(settings)):
        return False
    # The current names of HTTP's attributes, as the recorder's spans have them.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.redis import RedisInstrumentor

    # Behind the guard, which refuses foreign names of the host.
    DjangoInstrumentor().instrument(middleware_position=1)
    RedisInstrumentor().instrument()
    return True


def instrument_worker(settings: ServerSettings) -> bool:
    """Trace a Celery worker's tasks and its calls of Redis; return True where that is on."""
    if not _provide(tracing_conf(settings)):
        return False
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.instrumentation.redis import RedisInstrumentor

    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
    RedisInstrumentor().instrument()
    return True


def _provide(conf: TracingConf, environ: Mapping[str, str] = os.environ) -> bool:
    """Set the global tracer provider; False where the export is off or cannot begin."""
    if not conf.enabled:
        return False
    try:
        _set_provider(conf, environ)
    except ImportError as exc:
        logger.warning("Telemetry is off: the package %s is not installed", exc.name)
        return False
    except Exception as exc:
        logger.warning("Telemetry is off: %s", exc)
        return False
    return True


def _set_provider(conf: TracingConf, environ: Mapping[str, str]) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from flows.telemetry.sdk_exporter import RedactingExporter

    target = target_of("traces", conf.endpoint, conf.protocol, environ)
    exporter = RedactingExporter(
        lambda: sender_to(target, "traces"), Redactor(SECRETS).line, target.shown
    )
    provider = TracerProvider(resource=Resource(resource_attributes(conf.service_name)))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
