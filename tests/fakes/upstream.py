"""A scripted provider on loopback that keeps every request exactly as it arrived.

It answers with the product's own scripted answers unless a test scripts a path. It runs on a thread
with its own event loop, so a test may block.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self

from interceptor.demo.dispatch import answer
from tests.fakes import websocket
from tests.loop_thread import end_loop
from tests.patience import PATIENCE_S

MAX_HEAD_BYTES = 1024 * 1024


@dataclass
class Seen:
    """One request as it arrived, and what was sent in answer."""

    head: bytes
    """Request line and headers, byte for byte."""
    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]
    """In wire order and case."""
    connection: int
    """Number of the connection that carried it."""
    body: bytes = b""
    """Without the transfer coding, with the content coding."""
    at_s: float = field(default_factory=time.monotonic)
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    """(monotonic time before the write, bytes) of every piece of the answer."""
    messages: list[str] = field(default_factory=list)
    """Text messages of a websocket."""
    client_gone: threading.Event = field(default_factory=threading.Event)
    """Set when the other side closed before the answer was complete."""

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def json(self) -> Any:
        return json.loads(
            gzip.decompress(self.body) if self.header("content-encoding") == "gzip" else self.body
        )


@dataclass(frozen=True)
class Script:
    """What to answer. Pieces are sent one by one with a pause before each but the first."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    pieces: tuple[bytes, ...] = (b"{}",)
    pause_s: float = 0.0
    framing: str = "length"
    """length, chunked, or close (the end of the connection ends the body)."""
    reset_after: int | None = None
    """Break the connection off after this many pieces; 0 sends not even the head."""
    gate: threading.Event | None = None
    """Wait for it before the last piece."""
    paced_by: threading.Semaphore | None = None
    """Acquire it before each piece but the first."""
    echo: bool = False
    """Accept a websocket and send every text message back."""
    talk: Callable[[str], Sequence[str]] | None = None
    """Accept a websocket and send what this returns for every text message."""


Chooser = Callable[[Seen], Script]


def sse(*events: bytes, pause_s: float = 0.0, **more: Any) -> Script:
    """A stream of server-sent events."""
    return Script(
        headers=(("content-type", "text/event-stream"),),
        pieces=events,
        pause_s=pause_s,
        framing="chunked",
        **more,
    )


class Upstream:
    """The server. Use it as a context manager."""

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        key: str | None = None,
        calls_tools: bool = True,
    ) -> None:
        self.requests: list[Seen] = []
        self.scripts: dict[str, Script | Chooser] = {}
        """Path without query to what is answered there."""
        self.key = key
        """The credential that must arrive, or None for any."""
        self.calls_tools = calls_tools
        """False for agents, whose sub-agents would ask for ever: each calls the first tool again."""
        self.port = 0
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        end_loop(self._loop, self._thread)

    @property
    def last(self) -> Seen:
        """The newest request."""
        return self.requests[-1]

    def wait_for(self, count: int, timeout_s: float = PATIENCE_S) -> list[Seen]:
        """All requests, once there are `count`."""
        deadline = time.monotonic() + timeout_s
        while len(self.requests) < count:
            assert time.monotonic() < deadline, (
                f"only {len(self.requests)} of {count} requests came"
            )
            time.sleep(0.01)
        return self.requests

    def _run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._tls, limit=MAX_HEAD_BYTES
        )

    async def _close(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        connection = self._connections
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                while seen := await _read(reader, connection):
                    self.requests.append(seen)
                    if not await self._reply(seen, reader, writer):
                        break
            finally:
                writer.close()

    def script_for(self, seen: Seen) -> Script:
        """What a request is answered with."""
        script = self.scripts.get(seen.path)
        if script is None:
            return self.scripted_answer(seen)
        return script if isinstance(script, Script) else script(seen)

    def scripted_answer(self, seen: Seen) -> Script:
        """The product's scripted provider, without its pauses."""
        headers = {name.lower(): value for name, value in seen.headers}
        if self.key is not None and self.key not in "\n".join(headers.values()):
            return Script(status=401, pieces=(b'{"error": {"message": "wrong key"}}',))
        body = (
            gzip.decompress(seen.body) if headers.get("content-encoding") == "gzip" else seen.body
        )
        if not self.calls_tools:
            body = _without_tools(body)
        reply = answer(seen.method, seen.target, headers, body)
        framing = "chunked" if reply.is_stream else "length"
        return Script(
            reply.status, (("content-type", reply.content_type),), reply.pieces, framing=framing
        )

    async def _reply(
        self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer; True when the connection can carry another request."""
        script = self.script_for(seen)
        talk = (lambda text: [text]) if script.echo else script.talk
        if talk is not None and (key := seen.header("sec-websocket-key")):
            await _talk(seen, key, talk, reader, writer)
            return False
        if script.reset_after == 0:
            _reset(writer)
            return False
        writer.write(_head(script, seen.method))
        try:
            whole = seen.method == "HEAD" or await _send_body(seen, script, writer)
        except (OSError, asyncio.CancelledError):
            seen.client_gone.set()
            raise
        return whole and script.framing != "close"


async def _read(reader: asyncio.StreamReader, connection: int) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, version = first.split(" ")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    seen = Seen(head, method, target, version, headers, connection)
    seen.body = await _read_body(seen, reader)
    return seen


async def _read_body(seen: Seen, reader: asyncio.StreamReader) -> bytes:
    if (seen.header("transfer-encoding") or "").lower() != "chunked":
        return await reader.readexactly(int(seen.header("content-length") or 0))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body


def _head(script: Script, method: str) -> bytes:
    phrase = HTTPStatus(script.status).phrase if script.status in HTTPStatus else "Overloaded"
    lines = [
        f"HTTP/1.1 {script.status} {phrase}",
        *(f"{name}: {value}" for name, value in script.headers),
    ]
    if script.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif script.framing == "length" and script.status not in (101, 204, 304):
        lines.append(f"Content-Length: {sum(map(len, script.pieces))}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _send_body(seen: Seen, script: Script, writer: asyncio.StreamWriter) -> bool:
    """Send the pieces; False when the script broke off."""
    for number, piece in enumerate(script.pieces):
        if script.reset_after == number:
            _reset(writer)
            return False
        if number:
            await asyncio.sleep(script.pause_s)
        if number and script.paced_by is not None:
            await asyncio.to_thread(script.paced_by.acquire, timeout=PATIENCE_S)
        if script.gate is not None and number == len(script.pieces) - 1:
            await asyncio.to_thread(script.gate.wait, 60)
        seen.sent.append((time.monotonic(), piece))
        writer.write(
            b"%x\r\n%b\r\n" % (len(piece), piece)
            if script.framing == "chunked" and piece
            else piece
        )
        await writer.drain()
    if script.reset_after is not None and script.reset_after >= len(script.pieces):
        _reset(writer)
        return False
    if script.framing == "chunked":
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def _without_tools(body: bytes) -> bytes:
    """The request as a client without tools would send it; other bodies as they are."""
    with contextlib.suppress(ValueError):
        request = json.loads(body)
        if isinstance(request, dict) and request.pop("tools", None):
            return json.dumps(request).encode()
    return body


async def _talk(
    seen: Seen,
    key: str,
    talk: Callable[[str], Sequence[str]],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Accept: {websocket.accept_value(key)}", "", ""]
    writer.write("\r\n".join(lines).encode())
    while True:
        opcode, payload = await websocket.read_frame(reader)
        if opcode == websocket.TEXT:
            seen.messages.append(payload.decode())
            for text in talk(payload.decode()):
                writer.write(websocket.frame(text.encode()))
        elif opcode == websocket.PING:
            writer.write(websocket.frame(payload, websocket.PONG))
        elif opcode == websocket.CLOSE:
            writer.write(websocket.frame(payload, websocket.CLOSE))
        await writer.drain()
        if opcode == websocket.CLOSE:
            return
