"""The scripted upstream over HTTP/2, where TLS negotiated it."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded

from tests.fakes.upstream import Seen, Upstream


@dataclass
class _Stream:
    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)


class Http2Upstream(Upstream):
    """Answers as `Upstream` does, on connections whose client chose h2; others stay HTTP/1.1.

    Pauses are kept.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, key: str | None = None) -> None:
        super().__init__(tls, key=key)
        self.authorities: list[str] = []
        """The :authority of every request, "" for none."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            return await super()._serve(reader, writer)
        self._connections += 1
        return await _Connection(self, reader, writer, self._connections).run()


class _Connection:
    def __init__(
        self,
        upstream: Http2Upstream,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        number: int,
    ) -> None:
        self.upstream, self.reader, self.writer, self.number = upstream, reader, writer, number
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.streams: dict[int, _Stream] = {}

    async def run(self) -> None:
        self.h2.initiate_connection()
        await self._flush()
        while data := await self.reader.read(65536):
            for event in self.h2.receive_data(data):
                await self._handle(event)
            await self._flush()
        self.writer.close()

    async def _handle(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self.streams[event.stream_id] = _Stream([(str(n), str(v)) for n, v in event.headers])
        elif isinstance(event, DataReceived):
            self.streams[event.stream_id].body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            await self._answer(event.stream_id, self.streams.pop(event.stream_id))

    async def _answer(self, stream_id: int, stream: _Stream) -> None:
        pseudo = {name: value for name, value in stream.headers if name.startswith(":")}
        headers = [(name, value) for name, value in stream.headers if not name.startswith(":")]
        self.upstream.authorities.append(pseudo.get(":authority", ""))
        seen = Seen(
            b"",
            pseudo[":method"],
            pseudo[":path"],
            "HTTP/2",
            headers,
            self.number,
            bytes(stream.body),
        )
        self.upstream.requests.append(seen)
        script = self.upstream.script_for(seen)
        self.h2.send_headers(stream_id, [(":status", str(script.status)), *script.headers])
        for piece in script.pieces:
            self.h2.send_data(stream_id, piece)
            await self._flush()
            await asyncio.sleep(script.pause_s)
        self.h2.end_stream(stream_id)

    async def _flush(self) -> None:
        self.writer.write(self.h2.data_to_send())
        await self.writer.drain()
