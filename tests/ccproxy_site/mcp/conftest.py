"""The MCP server's application in this process, and the official client on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from django.core.management import call_command
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from pytest_django import DjangoDbBlocker

from ccproxy_site.mcp.mcp_app import McpApp, mcp_app
from interceptor.config.files.server import ServerSettings
from tests.flows.seed import seed_all
from tests.flows.seed_session import seed_session

URL = "http://127.0.0.1:4030/mcp"
READ, WRITE = "read-token-0123456789", "write-token-0123456789"


def settings_with(**http: Any) -> ServerSettings:
    """Settings with two known tokens."""
    return ServerSettings.model_validate(
        {"mcp": {"http": {"auth": READ, "write_auth": WRITE, **http}}}
    )


def http_client(app: McpApp, token: str = "", **headers: str) -> httpx2.AsyncClient:
    """A client that reaches the application without a socket."""
    shown = {"authorization": f"Bearer {token}"} if token else {}
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=cast(Any, app)), headers={**shown, **headers}, timeout=60
    )


@asynccontextmanager
async def connected(app: McpApp, token: str) -> AsyncIterator[Client]:
    """The official client."""
    async with (
        http_client(app, token) as http,
        Client(streamable_http_client(URL, http_client=http)) as client,
    ):
        yield client


Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def record(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The seeded flows, for all tests of a module that only read them.

    Tools run in threads of their own, which see nothing of a test's transaction.
    """
    with django_db_blocker.unblock():
        seed_all()
        seed_session()
        yield
        call_command("flush", interactive=False, verbosity=0)


def with_client[R](folder: Path, token: str, work: Callable[[Client], Awaitable[R]]) -> R:
    """Run work with the official client on a fresh application."""

    async def run() -> R:
        app = mcp_app(settings_with(), folder)
        try:
            async with connected(app, token) as client:
                return await work(client)
        finally:
            await app.stop()

    return asyncio.run(run())


def calling(folder: Path, token: str) -> Ask:
    """Return a function that calls a tool and returns its structured result.

    A refusal is an AssertionError with the tool's sentence.
    """

    def call(name: str, **values: Any) -> dict[str, Any]:
        result = with_client(folder, token, lambda client: client.call_tool(name, values))
        assert not result.is_error, str(result.content)
        return result.structured_content or {}

    return call


@pytest.fixture
def ask(tmp_path: Path, record: None) -> Ask:
    """Calls a tool as the holder of the read token, on the seeded record."""
    return calling(tmp_path, READ)


@pytest.fixture
def app(tmp_path: Path, transactional_db: None) -> McpApp:
    """The application, for tests of one event loop."""
    return mcp_app(settings_with(), tmp_path)
