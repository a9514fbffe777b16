"""Translator of a provider's stream into the client's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from providers.base.errors import TranslationError
from providers.base.names import WireFormatName
from providers.wire.answer_form import BLANK, is_events, is_json
from providers.wire.core.base import AnswerContext
from providers.wire.core.formats import client_codec, provider_codec
from providers.wire.core.ir import Failure, Finish, Loss, Losses, Usage
from providers.wire.core.sse import MAX_EVENT_BYTES, SseParser
from providers.wire.core.stream_event import Delta, End, Event, Ping, Start, UsageUpdate
from providers.wire.failure_translation import readable_text
from providers.wire.failures.reported_failure import ReportedFailure
from providers.wire.failures.too_long import for_client
from providers.wire.response_filters import arguments_for, filter_for, watch_for
from providers.wire.response_reading import UNFORESEEN, read_response
from providers.wire.rules.events import of_response

_BEGINNING_BYTES: Final = 4096
"""What is kept of a body, until it turns out to be a response, to name what it was instead."""


class StreamTranslator:
    """Translator of a provider's SSE bytes, in any chunking, into the client's stream.

    A provider that answers with JSON instead becomes a stream when its body is complete. `feed` and
    `flush` never raise. A stream that breaks its grammar, fails or ends early becomes
    the client's error event, without a success terminator; later bytes are ignored. `usage`,
    `finish` and `failure` are for the record.
    """

    def __init__(
        self, src: WireFormatName, dst: WireFormatName, *, context: AnswerContext | None = None
    ) -> None:
        context = context or AnswerContext()
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.failure: Failure | None = None
        self._src = src
        self._dst = dst
        self._started = False
        self._is_json: bool | None = None
        self._held = bytearray()
        self._beginning = bytearray()
        self._parser = SseParser()
        self.decoder = provider_codec(src).stream_decoder()
        self._watch = watch_for(src, dst)
        if self._watch is not None:
            self.decoder.watch = self._watch.look_at_event
        self._response_losses = Losses()
        self._encoder = client_codec(dst).stream_encoder(context)
        self._filter = filter_for(src, dst, context)
        self._arguments = arguments_for(src, dst)

    @property
    def done(self) -> bool:
        """True once the client's stream has ended, successfully or not."""
        return self.finish is not None or self.failure is not None

    @property
    def started(self) -> bool:
        """True once the client's stream has a part of the response."""
        return self._started

    @property
    def losses(self) -> list[Loss]:
        """Losses of the response, so far."""
        unread = self._watch.losses if self._watch is not None else []
        decoded = [*self._response_losses, *self.decoder.losses, *unread]
        wrapped = self._arguments.losses if self._arguments is not None else []
        return [*decoded, *self._filter.losses, *wrapped, *self._encoder.losses]

    def feed(self, chunk: bytes) -> bytes:
        """Translate the provider's next bytes."""
        if self.done:
            return b""
        if not self._started and len(self._beginning) < _BEGINNING_BYTES:
            self._beginning += chunk[:_BEGINNING_BYTES]
        if self._is_json is not False:
            chunk = self._seen(chunk)
        out = b""
        try:
            for event in self._parser.feed(chunk):
                out += self._encode(self.decoder.feed(event))
                if self.done:
                    break
        except (TranslationError, *UNFORESEEN) as error:
            out += self._broken(error)
        return out

    def flush(self) -> bytes:
        """End the stream. Return what is still due, or an error event for a stream that was cut."""
        if self.done:
            return b""
        if self._is_json:
            return self._json_as_stream()
        out = b""
        try:
            for event in self._parser.flush():
                out += self._encode(self.decoder.feed(event))
            if not self.done:
                said = self._text_instead()
                out += self.fail(502, said) if said else self._encode(self.decoder.flush())
        except (TranslationError, *UNFORESEEN):
            self.finish = None
            out += self.fail(502, "The provider's stream was cut.")
        return out

    def fail(self, status: int, message: str) -> bytes:
        """End the client's stream with an error because the connection to the provider broke."""
        if self.done:
            return b""
        self.failure = Failure(message, status)
        return self._encoder.feed([self.failure])

    def _seen(self, chunk: bytes) -> bytes:
        """Keep a body that is JSON, or whose form is not yet known; return other bytes."""
        self._held += chunk
        if self._is_json is None:
            self._is_json = is_json(bytes(self._held))
            # Blank lines keep the connection alive and say nothing, nor does a byte order mark.
            self._held = self._held.lstrip(BLANK)
        # The parser refuses a body that is too large.
        if len(self._held) > MAX_EVENT_BYTES:
            self._is_json = False
        if self._is_json is False:
            chunk, self._held = bytes(self._held), bytearray()
            return chunk
        return b""

    def _text_instead(self) -> str:
        """Return the sentence for a body that is neither events nor JSON, such as a page."""
        if self._started or is_events(bytes(self._beginning)):
            return ""
        text = readable_text(bytes(self._beginning))
        return f"The provider answered with something that is not a stream: {text}" if text else ""

    def _json_as_stream(self) -> bytes:
        data, self._held = bytes(self._held), bytearray()
        try:
            response = read_response(data, self._src, self._watch)
            self._response_losses = response.losses
            return self._encode(of_response(response))
        except ReportedFailure as error:
            return self._encode([error.failure])
        except (TranslationError, *UNFORESEEN) as error:
            return self._broken(error)

    def _broken(self, error: Exception) -> bytes:
        # An end that could not be written has not reached the client.
        self.finish = None
        detail = str(error) if isinstance(error, TranslationError) else "it cannot be read."
        return self.fail(502, f"The provider's stream does not follow its format: {detail}")

    def _encode(self, events: Sequence[Event]) -> bytes:
        if not events:
            return b""
        if not self._started and not isinstance(events[0], Failure | Ping):
            self._started = True
            if not isinstance(events[0], Start):  # a provider that skips its own beginning
                events = [Start(), *events]
        filtered = self._filter.feed(events)
        arguments = self._arguments
        # Nearly all events are the next part of a text, of which nothing is to be noted.
        is_text = len(filtered) == 1 and type(filtered[0]) is Delta
        if arguments is not None and not (is_text and arguments.is_idle):
            filtered = arguments.feed(filtered)
            is_text = False
        if not is_text:
            filtered = self._noted(filtered)
        return self._encoder.feed(filtered)

    def _noted(self, events: Sequence[Event]) -> Sequence[Event]:
        """Note usage and end for the record; return the events for the client."""
        for event in events:
            if isinstance(event, UsageUpdate):
                self.usage = event.usage
        last = events[-1] if events else None
        if isinstance(last, End):
            self.finish = last.finish
        elif isinstance(last, Failure):
            self.failure = last
            # The record keeps the provider's words, the client gets those of its own vendor.
            if self._src != self._dst:
                return [*events[:-1], for_client(last, self._dst)]
        return events
