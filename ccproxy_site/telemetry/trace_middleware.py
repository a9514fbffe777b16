"""Middleware that makes a span of each request of the console, where `otel.enabled` is true.

OpenTelemetry's own instrumentation of Django leaves out requests that come over ASGI unless a
further package is installed. The console answers nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode

from flows.telemetry import conventions as names

NAME: Final = f"{__name__}.trace_requests"
"""The middleware's name for Django."""
_SERVER_ERRORS: Final = 500
Handler = Callable[[HttpRequest], Any]


@sync_and_async_middleware
def trace_requests(get_response: Handler) -> Handler:
    """Return the middleware; its span is the parent of what the view calls."""
    tracer = trace.get_tracer("ccproxy.console")

    def begun(request: HttpRequest) -> Any:
        return tracer.start_as_current_span(
            str(request.method),
            context=propagate.extract(request.headers),
            kind=SpanKind.SERVER,
            attributes={
                names.HTTP_METHOD: str(request.method),
                names.URL_PATH: request.path,
                names.URL_SCHEME: str(request.scheme),
            },
        )

    if iscoroutinefunction(get_response):
        answer: Callable[[HttpRequest], Awaitable[HttpResponseBase]] = get_response

        async def trace_async(request: HttpRequest) -> HttpResponseBase:
            with begun(request) as span:
                response = await answer(request)
                _describe(span, request, response)
                return response

        return trace_async

    def trace_sync(request: HttpRequest) -> HttpResponseBase:
        with begun(request) as span:
            response: HttpResponseBase = get_response(request)
            _describe(span, request, response)
            return response

    return trace_sync


def _describe(span: Span, request: HttpRequest, response: HttpResponseBase) -> None:
    if match := request.resolver_match:
        # The pattern, not the path: few names for many pages.
        span.update_name(f"{request.method} /{match.route}")
        span.set_attribute(names.HTTP_ROUTE, match.route)
    span.set_attribute(names.HTTP_STATUS, response.status_code)
    if response.status_code >= _SERVER_ERRORS:
        span.set_status(StatusCode.ERROR)
        span.set_attribute(names.ERROR_TYPE, str(response.status_code))
