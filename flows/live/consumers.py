"""Websockets of the console.

Only logged-in staff from our own origin may connect; others are refused before opening.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from autobahn.exception import Disconnected
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from flows.display.safe_text import printable
from flows.live import bus
from flows.live.bus import Segment
from flows.live.catch_up import segments_of
from flows.queries.rights import VIEW_FLOWS
from flows.reading.answer_text import AnswerReader, joined
from flows.reading.event_pieces import Piece


class ConsoleConsumer(AsyncWebsocketConsumer):
    """Base class: checks the visitor and joins one group. Messages from the page are ignored."""

    group = ""

    async def connect(self) -> None:
        if not self.is_same_origin() or not await self.may_look():
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
        """Ignore a message of the page."""

    async def may_look(self) -> bool:
        """Check for an active member of staff who may look at flows, as the pages do."""
        user = self.scope.get("user")
        if user is None or not (user.is_authenticated and user.is_active and user.is_staff):
            return False
        return bool(await database_sync_to_async(user.has_perm)(VIEW_FLOWS))

    def is_same_origin(self) -> bool:
        """Check that one of our pages opened the websocket.

        Cookies ignore ports, so a page of another local server would come with the user's session.
        """
        headers = dict(self.scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        host = headers.get(b"host", b"").decode("latin-1")
        origin_host = urlsplit(origin).netloc
        return bool(origin_host) and origin_host.lower() == host.lower()

    def group_name(self) -> str:
        """Return the Channels group to join."""
        raise NotImplementedError

    async def opened(self) -> None:
        """Send what the page missed."""

    async def send_message(self, **message: Any) -> None:
        """Send one JSON message; a page that has just left gets none."""
        # Daphne reports the disconnect as an event of its own, which may be behind this message.
        with suppress(Disconnected):
            await self.send(text_data=json.dumps(message))


class ListConsumer(ConsoleConsumer):
    """Websocket of the list: which flows started, changed or ended. The page fetches the rows."""

    def group_name(self) -> str:
        return bus.LIST_GROUP

    async def flows_row(self, message: dict[str, Any]) -> None:
        """Report a flow that changed."""
        row = message["row"]
        await self.send_message(
            type="row", phase=message["phase"], id=row["id"], state=row["state"]
        )


class FlowConsumer(ConsoleConsumer):
    """Websocket of one running response: its text from the byte on that the page already has."""

    def group_name(self) -> str:
        return bus.flow_group(self.scope["url_route"]["kwargs"]["flow_id"])

    async def opened(self) -> None:
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        wanted = query.get("from", ["0"])[0]
        is_number = wanted.isascii() and wanted.isdigit()
        self.position = int(wanted) if is_number else 0
        self.reader: AnswerReader | None = None
        await self._catch_up()

    async def flow_delta(self, message: dict[str, Any]) -> None:
        """Send the text of new bytes.

        When they do not follow what was read, read again from what the proxy keeps.
        """
        if message["next"] <= self.position:
            return
        if self.reader is None or message["offset"] != self.position:
            await self._catch_up()
            return
        pieces = self.reader.feed(message["data"])
        await self._send_text(message["offset"], message["next"], pieces)

    async def flow_state(self, message: dict[str, Any]) -> None:
        """Report that the flow changed or ended."""
        state = message["row"]["state"]
        await self.send_message(type="state", phase=message["phase"], state=state)

    async def _catch_up(self) -> None:
        """Read everything that the proxy keeps of the response.

        Without it, the page has to ask the database.
        """
        flow_id = self.scope["url_route"]["kwargs"]["flow_id"]
        segments = await segments_of(self.channel_layer, flow_id)
        if segments is None or _end_of(segments, self.position) < self.position:
            self.reader = None
            await self.send_message(type="gap", position=self.position)
            return
        # From the beginning: events and text cannot be read from the middle.
        self.reader = AnswerReader("identity")
        pieces: list[Piece] = []
        start = self._known_start(segments)
        position = 0
        for position, data in segments:
            found = self.reader.feed(data)
            if position > start:
                pieces += found
        await self._send_text(start, max(position, start), pieces, is_anew=start < self.position)

    def _known_start(self, segments: Sequence[Segment]) -> int:
        """Return where the page's text ends; 0 when that is inside a segment.

        The page has 10 bytes. Segments end at 10 and 30: it lacks the second. One segment ends at
        30: its text cannot be split, so the page gets everything anew.
        """
        ends = [0, *(end for end, _ in segments)]
        return self.position if self.position in ends or self.position > ends[-1] else 0

    async def _send_text(
        self, start: int, after: int, pieces: list[Piece], *, is_anew: bool = False
    ) -> None:
        """Send text. `is_anew`: it replaces what the page shows."""
        self.position = after
        if after <= start:
            return
        shown = [(kind, printable(text)) for kind, text in joined(pieces)]
        more = {"anew": True} if is_anew else {}
        await self.send_message(type="text", offset=start, next=after, pieces=shown, **more)


def _end_of(segments: Sequence[Segment], default: int) -> int:
    """Return the wire offset behind the segments; `default` when there are none."""
    if not segments:
        return default
    end, _ = segments[-1]
    return end
