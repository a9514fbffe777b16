"""The scripted provider as a small HTTP/1.1 server on loopback. No Django."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import zlib
from dataclasses import dataclass, replace
from http import HTTPStatus

from interceptor.demo.dispatch import answer, error
from interceptor.demo.perplexity_site import PerplexitySite
from interceptor.demo.script import Answer

MAX_BODY_BYTES = 16 * 1024 * 1024
_AUTH_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Outage:
    """A failure of all requests, with the wait that the provider asks for."""

    status: int
    retry_after_s: int


class DemoProvider:
    """Server of the scripted responses.

    A request without the right key gets 401, so that an injected credential shows.
    """

    def __init__(
        self,
        key: str,
        host: str = "127.0.0.1",
        port: int = 0,
        site: PerplexitySite | None = None,
    ) -> None:
        self.key = key
        self.site = site
        """It speaks Perplexity's protocol alone, if set; then the key is the session's token."""
        self.host = host
        self.port = port
        """The port it listens on; 0 until it has started means any free one."""
        self.outage: Outage | None = None
        """Set while every request fails."""
        self.request_count = 0
        """Requests with the right key."""
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start to listen."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and close what is still open."""
        if self._server is None:
            return
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        # A client that goes away, talks nonsense or is cut off by stop() ends its own connection
        # and nothing else.
        with contextlib.suppress(
            OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
        ):
            try:
                while (request := await _read_request(reader)) is not None:
                    await _write_answer(writer, request, self._answer(request))
            finally:
                writer.close()

    def _answer(self, request: _Request) -> Answer:
        if self.site is not None:
            reply = self.site.answer(
                request.method, request.target, request.headers, _decoded(request)
            )
            return reply or Answer(404, "text/plain", (b"Perplexity has no such page.",))
        if self.key not in _keys(request):
            message = "The scripted provider did not get its key; the proxy has to put it in."
            return error(request.path, request.headers, 401, message)
        self.request_count += 1
        if self.outage is not None:
            message = "The scripted provider is down for a moment."
            failed = error(request.path, request.headers, self.outage.status, message)
            return replace(failed, headers=(f"retry-after: {self.outage.retry_after_s}",))
        try:
            body = _decoded(request)
        except (OSError, EOFError, zlib.error):
            return error(
                request.path,
                request.headers,
                400,
                "The body is not what its content-encoding says.",
            )
        return answer(request.method, request.target, request.headers, body)


def _keys(request: _Request) -> list[str]:
    values = [request.headers.get(name, "") for name in _AUTH_HEADERS]
    return [value.removeprefix("Bearer ") for value in values]


def _decoded(request: _Request) -> bytes:
    return (
        gzip.decompress(request.body)
        if request.headers.get("content-encoding") == "gzip"
        else request.body
    )


async def _read_request(reader: asyncio.StreamReader) -> _Request | None:
    """Return the next request of a connection, or None at its end.

    Chunked bodies are not needed here and refused.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    size_bytes = int(headers.get("content-length", "0"))
    if not 0 <= size_bytes <= MAX_BODY_BYTES or "transfer-encoding" in headers:
        raise ValueError("a body of a kind this server does not take")
    return _Request(method, target, headers, await reader.readexactly(size_bytes))


async def _write_answer(writer: asyncio.StreamWriter, request: _Request, reply: Answer) -> None:
    size_bytes = sum(map(len, reply.pieces))
    length = "transfer-encoding: chunked" if reply.is_stream else f"content-length: {size_bytes}"
    status = f"HTTP/1.1 {reply.status} {_phrase(reply.status)}"
    head = [status, f"content-type: {reply.content_type}", length, "server: ccproxy-demo"]
    writer.write("\r\n".join([*head, *reply.headers, "", ""]).encode())
    if request.method == "HEAD":
        await writer.drain()
        return
    for piece in reply.pieces:
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if reply.is_stream else piece)
        await writer.drain()
        await asyncio.sleep(reply.pause_s)
    if reply.is_cut:
        raise ConnectionAbortedError
    if reply.is_stream:
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus else "Overloaded"
