"""Websockets of the console.

Only logged-in staff of our own origin; everything else is refused before it opens.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from channels.generic.websocket import AsyncWebsocketConsumer

from flows.display.safe_text import printable
from flows.live import bus
from flows.live.catch_up import segments_of
from flows.reading.answer_text import AnswerReader, Piece, joined


class ConsoleConsumer(AsyncWebsocketConsumer):
    """Checks the visitor and joins one group. Whatever a page sends is ignored."""

    group = ""

    async def connect(self) -> None:
        user = self.scope.get("user")
        allowed = bool(user and user.is_authenticated and user.is_active and user.is_staff)
        if not allowed or not self.same_origin():
            await self.close(code=4403)
            return
        self.group = self.group_name()
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()
        await self.opened()

    async def disconnect(self, code: int) -> None:
        if self.group:
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """The pages have nothing to say."""

    def same_origin(self) -> bool:
        """Cookies ignore ports, so a page of another local server would come with the user's
        session.
        """
        headers = dict(self.scope["headers"])
        origin = urlsplit(headers.get(b"origin", b"").decode("latin-1"))
        return (
            bool(origin.netloc)
            and origin.netloc.lower() == headers.get(b"host", b"").decode("latin-1").lower()
        )

    def group_name(self) -> str:
        """The Channels group to join."""
        raise NotImplementedError

    async def opened(self) -> None:
        """Say what the page missed."""

    async def tell(self, **message: Any) -> None:
        """Send one JSON message."""
        await self.send(text_data=json.dumps(message))


class ListConsumer(ConsoleConsumer):
    """Tells which flows started, moved or ended; the page fetches the rows it wants to show."""

    def group_name(self) -> str:
        return bus.LIST_GROUP

    async def flows_row(self, message: dict[str, Any]) -> None:
        """A flow moved."""
        row = message["row"]
        await self.tell(type="row", phase=message["phase"], id=row["id"], state=row["state"])


class FlowConsumer(ConsoleConsumer):
    """The text of one running answer as it arrives, from the byte on that the page already has."""

    def group_name(self) -> str:
        return bus.flow_group(self.scope["url_route"]["kwargs"]["flow_id"])

    async def opened(self) -> None:
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        wanted = query.get("from", ["0"])[0]
        self.position = int(wanted) if wanted.isascii() and wanted.isdigit() else 0
        self.reader: AnswerReader | None = None
        await self._catch_up()

    async def flow_delta(self, message: dict[str, Any]) -> None:
        """New bytes. When they do not follow what was read, read again from what is kept."""
        if message["next"] <= self.position:
            return
        if self.reader is None or message["offset"] != self.position:
            await self._catch_up()
            return
        await self._tell_text(message["offset"], message["next"], self.reader.feed(message["data"]))

    async def flow_state(self, message: dict[str, Any]) -> None:
        """The flow moved or ended."""
        await self.tell(type="state", phase=message["phase"], state=message["row"]["state"])

    async def _catch_up(self) -> None:
        """Read everything kept by the proxy up to now; without it the page is sent to the
        database.
        """
        segments = await segments_of(
            self.channel_layer, self.scope["url_route"]["kwargs"]["flow_id"]
        )
        if segments is None or (segments and segments[-1][0] < self.position):
            self.reader = None
            await self.tell(type="gap", position=self.position)
            return
        self.reader = AnswerReader("identity")
        pieces: list[Piece] = []
        start, position = self.position, 0
        for position, data in segments:
            found = self.reader.feed(data)
            if position > start:
                pieces += found
        await self._tell_text(start, max(position, start), pieces)

    async def _tell_text(self, start: int, after: int, pieces: list[Piece]) -> None:
        self.position = after
        if after > start:
            shown = [(kind, printable(text)) for kind, text in joined(pieces)]
            await self.tell(type="text", offset=start, next=after, pieces=shown)
