"""ASGI application that relays announced requests to libcurl, chunk by chunk.

It refuses every call without the process's secret, and every destination that is no provider's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from interceptor.transport.detour import (
    NUMBER_HEADER,
    SECRET_HEADER,
    AnnouncedRequests,
    Detour,
    Fields,
    OutgoingHead,
)
from interceptor.transport.sessions import Sessions
from interceptor.transport.transfer import Abandoned, Route, Transfer, TransferFailed

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
FindRoute = Callable[[Detour], Route | None]

FORBIDDEN, UNKNOWN_REQUEST, FAILED = 403, 404, 502
NOT_A_PROVIDER = "is no provider's address any more"


class Relay:
    """The application.

    Args:
        book: what may be taken.
        sessions: libcurl's connections.
        find_route: gives the route of a request, None where it must not go.
    """

    def __init__(self, book: AnnouncedRequests, sessions: Sessions, find_route: FindRoute) -> None:
        self._book = book
        self._sessions = sessions
        self._find_route = find_route

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] != "http":
            return
        headers: Fields = tuple(scope["headers"])
        if not self._book.admits(_only(headers, SECRET_HEADER)):
            await _end(send, FORBIDDEN)
            return
        detour = self._book.take(_only(headers, NUMBER_HEADER))
        if detour is None or detour.head is None:
            await _end(send, UNKNOWN_REQUEST)
            return
        with suppress(Abandoned):
            body = await _read_body(receive)
            gone = asyncio.ensure_future(_until_gone(receive))
            try:
                await self._relay(detour, detour.head, body, gone, send)
            finally:
                gone.cancel()

    async def _relay(
        self,
        detour: Detour,
        head: OutgoingHead,
        body: bytes,
        gone: asyncio.Future[None],
        send: Send,
    ) -> None:
        route = self._find_route(detour)
        if route is None:
            await _fail(detour, send, NOT_A_PROVIDER)
            return
        async with self._sessions.lease(route) as multi:
            try:
                transfer = Transfer(multi, route, head, body)
            except TransferFailed as exc:
                await _fail(detour, send, str(exc))
                return
            # libcurl must hear at once that nobody reads any more.
            gone.add_done_callback(lambda _: transfer.abandon())
            try:
                await _copy(detour, transfer, send)
            finally:
                transfer.close()


async def _copy(detour: Detour, transfer: Transfer, send: Send) -> None:
    """Relay the response. One that breaks off ends without its last chunk."""
    try:
        detour.response = await transfer.head()
    except TransferFailed as exc:
        await _fail(detour, send, str(exc))
        return
    await send(
        {
            "type": "http.response.start",
            "status": detour.response.status_code,
            "headers": [],
        }
    )
    try:
        while data := await transfer.chunk():
            # uvicorn waits here while its buffer is full.
            await send({"type": "http.response.body", "body": data, "more_body": True})
    except TransferFailed as exc:
        logger.debug("%s %s", detour.destination.host, exc)
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _read_body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Abandoned
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _fail(detour: Detour, send: Send, sentence: str) -> None:
    detour.failure = sentence
    await _end(send, FAILED)


async def _end(send: Send, status: int) -> None:
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _only(headers: Fields, name: str) -> str:
    """Return the value of a header that stands once, "" else."""
    found = [value for key, value in headers if key == name.encode()]
    return found[0].decode("latin-1") if len(found) == 1 else ""
