"""Rows of the database from a flow's record: redacted, packed, in texts that databases accept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from flows.bodies.plain_bodies import PlainBodies
from flows.bytes.database_text import storable_text
from flows.models import Flow
from flows.reading.preview import one_line, said_line, tool_result_in
from flows.reading.search_text import Said, answer, question_in, request_in, search_text
from flows.record import FlowRecord
from flows.redaction.redactor import Redactor
from flows.redaction.stored_texts import StoredTexts
from flows.telemetry.finished_flow import FinishedFlow, OnFinished
from flows.upsert import new_row
from flows.writer.rows import flow_columns
from flows.writer.rows.flow_rows import FlowRows
from flows.writer.rows.metering import meter
from flows.writer.rows.parts_builder import Draft, PartsBuilder
from flows.writer.rows.response_facts import asked_model, event_count, failure_of, socket_texts
from providers.prices.cost import OwnPrice


class RowBuilder:
    """Builder of rows. Not thread-safe: it belongs to the writer's thread."""

    def __init__(
        self,
        redactor: Redactor,
        own_prices: Callable[[], Sequence[OwnPrice]] = tuple,
        on_finished: Sequence[OnFinished] = (),
        plain_bodies: PlainBodies | None = None,
    ) -> None:
        self._redactor = redactor
        self._on_finished = on_finished
        self._texts = StoredTexts(redactor)
        self._parts = PartsBuilder(redactor, self._texts, plain_bodies)
        self._own_prices = own_prices

    def build(
        self, record: FlowRecord, *, bodies_dropped: bool = False, written_messages: int = 0
    ) -> FlowRows:
        """Return the rows of a record, without its first `written_messages` websocket messages."""
        if record.is_websocket and not record.requested_model:
            record = replace(record, requested_model=asked_model(record))
        # First of all: what a header reveals is then cut out of everything else.
        self._learn(record)
        self._texts.renew()
        draft = self._parts.build(record)
        new_messages = record.messages[written_messages:]
        messages = [self._parts.message(record, message, draft) for message in new_messages]
        flow = self._flow(record, draft, bodies_dropped)
        if record.state != "live":
            answer = self._parts.readable("upstream", draft)
            self._note_failure(flow, record, answer)
            meter(flow, record, answer, self._own_prices())
            flow.event_count = event_count(record, self._decoded_stream(record, draft))
        self._set_texts(flow, record, draft)
        if record.state != "live":
            # Last, so that the observers see all columns.
            self._tell_finished(flow, record, draft)
        return FlowRows(
            flow=flow,
            parts=draft.parts.texts(),
            refs=frozenset(draft.refs),
            messages=messages,
            bodies=draft.packed,
            message_count=max(written_messages, len(record.messages)),
        )

    def _tell_finished(self, flow: Flow, record: FlowRecord, draft: Draft) -> None:
        if not self._on_finished:
            return
        finished = FinishedFlow(
            record,
            flow,
            lambda side: self._parts.readable(side, draft),
            self._texts.text,
            self._texts.generation,
        )
        for tell in self._on_finished:
            tell(finished)

    def _note_failure(self, flow: Flow, record: FlowRecord, upstream: bytes) -> None:
        """Mark a flow whose response reports a failure that the proxy has not seen.

        The proxy reads only the end of plain bodies; compressed and imported ones are read here.
        """
        if record.state != "done" or record.error:
            return
        failure = failure_of(record, upstream)
        if failure is not None:
            flow.state = Flow.State.ERROR
            flow.error = self._texts.text(failure.message)

    def _learn(self, record: FlowRecord) -> None:
        # Sides that nothing changed share one object.
        distinct = {id(side.headers): side.headers for side in record.sides}
        for headers in distinct.values():
            self._redactor.learn(headers)
        for url in dict.fromkeys(side.url for side in record.sides):
            self._redactor.learn_url(url)

    def _flow(self, record: FlowRecord, draft: Draft, bodies_dropped: bool) -> Flow:
        texts = self._texts
        redacted_texts = texts.texts(flow_columns.texts_of(record))
        redacted_urls = map(texts.url, flow_columns.urls_of(record))
        losses = [[texts.text(path), texts.text(reason)] for path, reason in record.losses]
        values = dict(zip(flow_columns.PLAIN, flow_columns.plain_of(record), strict=True))
        values.update(zip(flow_columns.TEXTS, redacted_texts, strict=True))
        values.update(zip(flow_columns.URLS, redacted_urls, strict=True))
        values.update(
            started_at=_time(record.started_at),
            finished_at=_time(record.finished_at),
            hooks_changed=flow_columns.hooks_that_changed(record),
            hooks_ran=flow_columns.hooks_that_ran(record),
            losses=losses,
            is_lossy=bool(losses),
            request_size_bytes=draft.size_bytes("client"),
            response_size_bytes=draft.size_bytes("delivered") or draft.size_bytes("upstream"),
            bodies_dropped=bodies_dropped,
        )
        flow_columns.clip_texts(values)
        return new_row(Flow, values)

    def _set_texts(self, flow: Flow, record: FlowRecord, draft: Draft) -> None:
        """Set what a search finds, and the preview of the list."""
        asked, brought = record.question, record.tool_result
        said = Said()
        if record.is_websocket:
            asked, said = socket_texts(record)
        elif asked is None:
            request = request_in(self._parts.readable("client", draft))
            asked, brought = question_in(request), tool_result_in(request)
        # The response of a running flow would be read again and again.
        if record.state != "live" and not record.is_websocket:
            response = "delivered" if "delivered" in draft.stored else "upstream"
            said = answer(self._parts.readable(response, draft))
        tools = "\n".join(said.tools)
        texts = [asked, brought, said.text, tools]
        # Searched together, which takes half the time. The quotes end a JSON field that the
        # question leaves open.
        together = '""'.join(texts)
        if self._redactor.text(together) != together:
            texts = [self._redactor.text(text) for text in texts]
        # Not before: secrets are found in their own spelling.
        asked, brought, said_text, tools = map(storable_text, texts)
        flow.asked = one_line(asked)
        flow.tool_result = one_line(brought)
        flow.said = said_line(said_text, tools.split("\n") if tools else ())
        names = map(storable_text, _names_in(flow))
        flow.search_text = search_text(names, asked, said_text).lower()

    def _decoded_stream(self, record: FlowRecord, draft: Draft) -> bytes:
        """Return the client's stream if it was compressed, so that the proxy counted nothing."""
        _, encoding = draft.recorded.get("delivered", (None, ""))
        if not record.is_stream or record.event_count or not encoding:
            return b""
        return self._parts.readable("delivered", draft)


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _names_in(flow: Flow) -> Iterator[str]:
    """Yield the names and ids of a flow that a search finds, without secrets."""
    yield flow.id
    yield flow.session_id
    yield flow.conversation_id
    yield flow.provider
    yield flow.host
    yield flow.path
    yield flow.requested_model
    if flow.sent_model != flow.requested_model:
        yield flow.sent_model
    yield flow.user_agent
    yield flow.error
