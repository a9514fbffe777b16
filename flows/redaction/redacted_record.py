"""Records without secrets, for sinks that show or send what they get.

Sinks get records as the proxy saw them, because redaction costs time that the event loop does not
have. A sink that leaves the process (a log, a trace) wraps a record here, on a thread of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from flows.bytes.decode import decode
from flows.record import FlowRecord, Headers, SideRecord
from flows.redaction.redactor import Redactor


class MessageText(NamedTuple):
    """One websocket message as text."""

    from_client: bool
    text: str


class RedactedRecord:
    """A record whose parts lose their secrets when they are read first.

    Args:
        record: as the proxy saw it. Facts that hold no text of the client's or the provider's
            (times, sizes, statuses) are read from it directly.
        redactor: cuts the secrets out.
    """

    def __init__(self, record: FlowRecord, redactor: Redactor) -> None:
        self.record = record
        self._redactor = redactor
        # A credential that one side's headers show may stand in another side's body.
        for side in record.sides:
            redactor.learn(side.headers)
        redactor.learn_url(record.client_url)

    @cached_property
    def client_url(self) -> str:
        """The address as the client wrote it."""
        return self._redactor.url(self.record.client_url)

    @cached_property
    def forwarded_url(self) -> str:
        """The address at the provider; "" where nothing left."""
        return self._redactor.url(self.record.forwarded_url) if self.record.forwarded_url else ""

    @cached_property
    def error(self) -> str:
        """The flow's error; "" without one."""
        return self._redactor.text(self.record.error) if self.record.error else ""

    def headers(self, side: SideRecord) -> Headers:
        """Return a side's headers in wire order."""
        return tuple((name, value) for name, value in self._redactor.headers(side.headers))

    def body_text(self, side: SideRecord) -> str:
        """Return a side's body as text, without its content encoding."""
        encodings = [value for name, value in side.headers if name.lower() == "content-encoding"]
        encoding = ", ".join(encodings)
        redacted = self._redactor.body(side.body or b"", encoding)
        # A body that held a secret was decoded to cut it out, and stays decoded.
        data = redacted.data if redacted.decoded else decode(redacted.data, encoding).data
        return data.decode("utf-8", "replace")

    def messages(self) -> Iterator[MessageText]:
        """Yield the websocket messages in order."""
        for message in self.record.messages:
            redacted = self._redactor.body(message.content)
            yield MessageText(message.from_client, redacted.data.decode("utf-8", "replace"))
