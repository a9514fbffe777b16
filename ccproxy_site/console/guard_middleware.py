"""The guard before the console: the same rules as before the proxy, for pages, API and
websockets.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from interceptor.access.caller_rules import GuardRules, Refusal, check_caller

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def console_rules() -> GuardRules:
    """Return the console's own names and origins, from the settings that Django uses too."""
    return GuardRules(
        bind=settings.CCPROXY.console.host.strip("[]").lower(),
        hosts=frozenset(name.strip("[]").lower() for name in settings.ALLOWED_HOSTS),
        origins=frozenset(origin.lower().rstrip("/") for origin in settings.CSRF_TRUSTED_ORIGINS),
        is_page=True,
        hosts_setting="console.hosts",
        origins_setting="console.origins",
    )


class GuardMiddleware:
    """First in MIDDLEWARE: refuses before sessions, views or files are touched."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self.is_async:
            return self._async_call(request)
        return _refused(request) or self.get_response(request)

    async def _async_call(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = _refused(request) or await self.get_response(request)
        return response


def _refused(request: HttpRequest) -> HttpResponse | None:
    method = request.method or "GET"
    headers = {name.lower(): value for name, value in request.headers.items()}
    headers.setdefault("host", str(request.META.get("SERVER_NAME", "")))
    refusal = check_caller(method, headers.get, console_rules())
    if refusal is None:
        return None
    body = json.dumps({"detail": refusal.message})
    return HttpResponse(body, status=refusal.status_code, content_type="application/json")


class WebsocketGuard:
    """The rules for websockets, which Django's middleware never sees.

    A browser always names its page's origin.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _refusal_of(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await receive()  # the handshake has to begin before it can be refused
            await send({"type": "websocket.close", "code": 4403, "reason": refusal.message[:120]})


def _refusal_of(scope: Scope) -> Refusal | None:
    headers: dict[str, str] = {}
    for name, value in scope.get("headers", []):
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return check_caller("GET", headers.get, console_rules())
