"""ASGI application of `/mcp`: guard and bearer, then FastMCP, which is loaded on first use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ccproxy_site.console.serving.fresh_context import FreshContext
from ccproxy_site.mcp.bearer_tokens import BearerTokens
from ccproxy_site.mcp.mcp_caller import CURRENT_CALLER
from interceptor.access.caller_rules import GuardRules, Refusal, check_caller
from interceptor.config.files.server import ServerSettings

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
App = Callable[[Any, Any, Any], Awaitable[None]]

MCP_PATH: Final = "/mcp"
_SCHEMES: Final = ("bearer", "token")


def mcp_app(settings: ServerSettings, directory: Path) -> McpApp:
    """Return the application for an installation's settings."""
    return McpApp(mcp_rules(settings), BearerTokens(settings, directory))


def mcp_rules(settings: ServerSettings) -> GuardRules:
    """Return the names and origins that may call the server.

    Requests also come by way of the proxy, under the names by which clients call that one.
    """
    names = {*settings.allowed_hosts, *settings.console.hosts}
    origins = settings.allowed_origins
    return GuardRules(
        bind=settings.mcp.http.host.strip("[]").lower(),
        hosts=frozenset(name.strip("[]").lower() for name in names),
        origins=frozenset(origin.lower().rstrip("/") for origin in origins),
    )


class McpApp:
    """Server of one event loop.

    Args:
        rules: who may call.
        tokens: what callers must show.
    """

    def __init__(self, rules: GuardRules, tokens: BearerTokens) -> None:
        self.tokens = tokens
        self._rules = rules
        self._loading = asyncio.Lock()
        self._app: App | None = None
        self._running: asyncio.Task[None] | None = None
        self._outer = FreshContext(self._serve)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._outer(scope, receive, send)

    async def stop(self) -> None:
        """End the requests that run, and FastMCP."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        self._running = self._app = None

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = _headers(scope)
        refusal = self._refusal(scope, headers)
        caller = None
        if refusal is None:
            address = str((scope.get("client") or ("",))[0])
            caller = await self.tokens.caller_of(_shown_token(headers), address)
            if caller is None:
                refusal = Refusal(
                    401,
                    "Send one of the MCP server's tokens, or an API token, as"
                    " “Authorization: Bearer TOKEN”; docs/mcp.md says where they are.",
                )
        if refusal is not None:
            await _refuse(send, refusal)
            return
        CURRENT_CALLER.set(caller)
        app = self._app or await self._load()
        await app({**scope, "path": MCP_PATH, "raw_path": MCP_PATH.encode()}, receive, send)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        if scope["path"].rstrip("/") != MCP_PATH:
            return Refusal(404, f"The MCP server is at {MCP_PATH}.")
        return check_caller(scope["method"], headers.get, self._rules)

    async def _load(self) -> App:
        async with self._loading:
            if self._app is None:
                # A second of CPU time, during which pages and other requests go on.
                app = await asyncio.to_thread(_build)
                is_ready = asyncio.Event()
                running = asyncio.create_task(_live(app, is_ready), name="MCP sessions")
                waiting = asyncio.create_task(is_ready.wait())
                await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
                if not is_ready.is_set():
                    waiting.cancel()
                    await running
                self._running, self._app = running, app
            return self._app


def _build() -> Any:
    from ccproxy_site.mcp.tool_server import http_app

    return http_app(MCP_PATH)


async def _live(app: Any, is_ready: asyncio.Event) -> None:
    """Keep FastMCP's sessions alive until this task is cancelled; Daphne sends no lifespan."""
    async with app.lifespan(app):
        is_ready.set()
        await asyncio.Event().wait()


def _headers(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


def _shown_token(headers: dict[str, str]) -> str:
    """Return the token of `Authorization: Bearer …`, or of REST's `Token …`; "" for none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in _SCHEMES else ""


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = json.dumps({"error": refusal.message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if refusal.status_code == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refusal.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def mcp_beside(pages: App) -> App:
    """Return an application that serves `/mcp` too, where the MCP server is enabled.

    A console that Daphne runs alone has no other listener.
    """
    from django.conf import settings

    if not settings.CCPROXY.mcp.http.enabled:
        return pages
    server = mcp_app(settings.CCPROXY, Path(settings.CONFIG_DIR))

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        app = server if scope["path"].rstrip("/") == MCP_PATH else pages
        await app(scope, receive, send)

    return serve
