"""Lines of JSON between two of our processes, over a socket pair. No Django.

Bytes in a message are base64 under "b64". The end of the stream tells either side that the other
is gone.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import socket
from typing import Any

logger = logging.getLogger(__name__)

MAX_LINE_BYTES = 8 * 1024 * 1024
MAX_UNSENT_BYTES = 8 * 1024 * 1024


class Bridge:
    """One end of a socket pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, end: socket.socket) -> Bridge:
        """Talk over this end of a socket pair."""
        end.setblocking(False)
        return cls(*await asyncio.open_connection(sock=end, limit=MAX_LINE_BYTES))

    def say(self, **words: Any) -> None:
        """Send one line, or drop it when the other side does not keep up."""
        transport = self._writer.transport
        if transport.is_closing() or transport.get_write_buffer_size() >= MAX_UNSENT_BYTES:
            return
        line = json.dumps(words, default=_bytes_as_text)
        self._writer.write(line.encode() + b"\n")

    async def hear(self) -> dict[str, Any] | None:
        """Return the next line; None once the other side is gone."""
        try:
            line = await self._reader.readline()
        except (OSError, ValueError) as exc:
            # A line over the limit is a ValueError; the bridge cannot find the next line then.
            logger.debug("live bridge: %s", exc)
            return None
        return json.loads(line, object_hook=_text_as_bytes) if line.endswith(b"\n") else None

    async def close(self) -> None:
        """Send what is left, then close the socket, so that the other side reads its end."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def _bytes_as_text(value: Any) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} cannot cross the bridge")


def _text_as_bytes(value: dict[str, Any]) -> Any:
    return base64.b64decode(value["b64"]) if value.keys() == {"b64"} else value
