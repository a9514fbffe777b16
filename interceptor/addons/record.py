"""Last addon of the chain: streams responses through a tee and gives every flow to the sink."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from functools import partial

from mitmproxy.http import HTTPFlow, Response

from flows.record import FlowDelta, SideRecord, Sink, WebSocketRecord
from interceptor.addons.flow_record import build_record, response_side, since
from interceptor.addons.guard import drop_cors, let_origin_read
from interceptor.addons.translate import rewrite_head, show_losses
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.exchange.own_answer import FLOW_HEADER
from interceptor.exchange.provider_failure import note_close, note_failure, note_message_failure
from interceptor.exchange.recording_state import RECORDING_HEADER, RecordingState
from interceptor.exchange.stream_ending import last_words
from interceptor.exchange.tee import StreamTee, is_event_stream
from interceptor.mitm.attempts import attempts_line
from interceptor.mitm.error_page import error_sentence, expected_page, set_caller
from interceptor.request_path.local_answers import UNRECORDED_PATHS

logger = logging.getLogger(__name__)

PROGRESS_INTERVAL_S = 2.0
PROGRESS_AT_ONCE = 25
ANNOUNCE_AFTER_S = 0.05
"""Flows that end sooner reach the sink once, complete: no page would show them running, and each
record costs 20 µs.
"""
MAX_KEPT_MESSAGE_BYTES = 64 * 1024 * 1024


class RecordAddon:
    """Knows the running flows: gives them to the sink and counts them."""

    def __init__(
        self,
        sink: Sink,
        stream_over_bytes: int | None = None,
        recording: RecordingState | None = None,
    ) -> None:
        self._sink = sink
        self._recording = recording or RecordingState()
        self._stream_over_bytes = stream_over_bytes
        """Responses over this size stream even where others are held; None: no such size."""
        self._arriving: dict[str, HTTPFlow] = {}
        """Requests that steps still work on."""
        self._active: dict[str, tuple[HTTPFlow, FlowState]] = {}
        self._ticker: asyncio.Task[None] | None = None
        self._has_flows = asyncio.Event()
        self._unannounced: dict[str, None] = {}
        self._announcement: asyncio.TimerHandle | None = None

    @property
    def active_count(self) -> int:
        """The number of running flows."""
        return len(self._active)

    def body_so_far(self, flow_id: str) -> bytes:
        """Return what the client of a running stream got; b"" for other flows."""
        _, state = self._active.get(flow_id, (None, None))
        return state.tee.delivered.body() if state and state.tee else b""

    def running(self) -> None:
        """Start to give the sink partial records of running streams."""
        self._ticker = asyncio.get_running_loop().create_task(self._tick(), name="flow progress")

    def done(self) -> None:
        """Stop, and record running flows as cut off."""
        if self._ticker:
            self._ticker.cancel()
        if self._announcement:
            self._announcement.cancel()
        for flow, state in list(self._active.values()):
            state.error = state.error or "the proxy stopped while this flow was running"
            self._finish(flow, state, failed=True)

    def requestheaders(self, flow: HTTPFlow) -> None:
        """Remember a flow that has begun."""
        self._arriving[flow.id] = flow

    def show_activity(self, flow_id: str, text: str) -> None:
        """Show what a flow waits for that has not left yet; unknown flows are not shown."""
        flow = self._arriving.get(flow_id)
        state = state_of(flow) if flow is not None else None
        if flow is None or state is None or state.client is None or state.closed:
            return
        state.activity = text
        self._sink.started(build_record(flow, state, "live"))

    def request(self, flow: HTTPFlow) -> None:
        """Note a flow that is about to leave, or that the proxy answered itself."""
        self._arriving.pop(flow.id, None)
        state = state_of(flow)
        if state is None or state.client is None or state.closed:
            return
        self._active[flow.id] = (flow, state)
        self._has_flows.set()
        if flow.response is None:
            self._announce_soon(flow.id)

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Keep the response's headers as they came, and stream its body."""
        state = state_of(flow)
        response = flow.response
        if state is None or response is None or state.forwarded is None:
            return
        state.first_byte_ms = since(state, response.timestamp_start)
        state.upstream = response_side("upstream", response)
        if state.source == "reverse":
            response.headers[FLOW_HEADER] = flow.id
            self._say_if_unrecorded(response)
            drop_cors(response)
        # Its headers complete it, so they must not leave before the record: it is no stream.
        if state.translation is None and _has_no_body(flow, response):
            if state.edit_losses:
                show_losses(state, response)
            return
        if state.observed is not None:
            state.tee = _watch(flow, state, self._sink)
            if is_event_stream(response):
                self._announce_soon(flow.id)
            response.stream = state.tee
        elif not state.hold_answer and (
            _should_stream(flow, response) or self._is_large(flow, response)
        ):
            translation = state.translation
            if translation is not None:
                rewrite_head(response, translation, streamed=True)
            if translation is not None or state.edit_losses:
                show_losses(state, response)
            live = is_event_stream(response)
            tell = self._sink.delta if live else _tell_nobody
            state.tee = StreamTee(flow.id, state.ms, tell, state.stages, unframe=state.unframe)
            response.stream = state.tee
            _frame(flow, response)
            let_origin_read(response, state.cors_origin)
            if live:
                self._announce_soon(flow.id)
        if state.tee is not None:
            self._expect_last_byte(flow, state, response)

    def _say_if_unrecorded(self, response: Response) -> None:
        if header := self._recording.header:
            response.headers[RECORDING_HEADER] = header

    def _expect_last_byte(self, flow: HTTPFlow, state: FlowState, response: Response) -> None:
        """Record a stream with a length before its last byte leaves for the client.

        Others end with a chunk, a frame or a close that the `response` event comes before. So does
        every stream over HTTP/2, where the length is no more than a remark (RFC 9113, 8.1.1).
        """
        length = response.headers.get("content-length", "")
        is_delimited = flow.request.is_http11 or flow.request.is_http10
        if state.tee is not None and is_delimited and length.isdecimal():
            state.tee.complete_at(int(length), partial(self._complete, flow, state))

    def _complete(self, flow: HTTPFlow, state: FlowState) -> None:
        """Record a response whose last byte is about to leave."""
        try:
            self._finish(flow, state)
        except Exception:
            # mitmproxy's layer calls this, and would take the response from the client.
            logger.exception("flow %s was not recorded", flow.id)

    def _is_large(self, flow: HTTPFlow, response: Response) -> bool:
        """Return True for a body that `stream_large_bodies` does not want in memory."""
        if self._stream_over_bytes is None or flow.request.method == "HEAD":
            return False
        length = response.headers.get("content-length", "")
        return length.isdecimal() and int(length) > self._stream_over_bytes

    def response(self, flow: HTTPFlow) -> None:
        """Finish a flow with its response; a websocket only begins here."""
        state = state_of(flow)
        if state is None:
            return
        if flow.response is not None and not flow.response.stream:
            let_origin_read(flow.response, state.cors_origin)
        if flow.websocket is not None:
            self._sink.progress(build_record(flow, state, "live"))
        else:
            self._finish(flow, state)

    def error(self, flow: HTTPFlow) -> None:
        """Report a broken flow to the client in its own format, and record what there is."""
        self._arriving.pop(flow.id, None)
        state = state_of(flow)
        if state is None:
            return
        message = error_sentence(flow.error.msg if flow.error else "", state.exchange, state.via)
        state.error = state.error or message
        set_caller(
            state.family,
            flow.id,
            state.error,
            state.error_status,
            state.cors_origin,
            attempts_line(flow),
        )
        if state.tee is None:
            state.page = _page(flow)
        state.last_words = last_words(flow, state)
        if state.tee is not None and state.last_words:
            state.tee.end_with(state.last_words)
        self._finish(flow, state)

    def websocket_message(self, flow: HTTPFlow) -> None:
        """Keep the newest message."""
        state = state_of(flow)
        if state is None or flow.websocket is None:
            return
        message = flow.websocket.messages[-1]
        note_message_failure(state, flow.request.path, message)
        if state.kept_message_bytes + len(message.content) <= MAX_KEPT_MESSAGE_BYTES:
            state.kept_message_bytes += len(message.content)
            state.messages.append(
                WebSocketRecord(
                    len(state.messages),
                    state.ms(),
                    message.from_client,
                    message.is_text,
                    message.content,
                )
            )
        del flow.websocket.messages[
            :-1
        ]  # mitmproxy would keep every message for the life of the connection

    def websocket_end(self, flow: HTTPFlow) -> None:
        """Finish the flow of a closed websocket."""
        if (state := state_of(flow)) is None:
            return
        if flow.websocket is not None:
            note_close(state, flow.request.path, flow.websocket)
        self._finish(flow, state)

    def _finish(self, flow: HTTPFlow, state: FlowState, *, failed: bool = False) -> None:
        if state.closed:
            return
        state.closed = True
        self._active.pop(flow.id, None)
        self._unannounced.pop(flow.id, None)
        path = state.exchange.path if state.exchange and state.run else flow.request.path
        unrecorded = state.source == "reverse" and path in UNRECORDED_PATHS
        # A refused base path is recorded whatever follows it.
        unrecorded = unrecorded and state.to_provider is None
        if state.client is None or (state.forwarded is None and unrecorded):
            return
        translator = state.translation.translator if state.translation else None
        if translator is not None and translator.failure is not None:
            state.fail(translator.failure.message)
        note_failure(flow, state)
        broke = bool(state.error and (flow.response is None or flow.error))
        failed = failed or state.failed or broke
        self._sink.finished(build_record(flow, state, "error" if failed else "done"))
        _forget(state)

    def _announce_soon(self, flow_id: str) -> None:
        """Give the sink a flow that has begun, if it still runs in a moment."""
        self._unannounced[flow_id] = None
        if self._announcement is None:
            self._announcement = asyncio.get_running_loop().call_later(
                ANNOUNCE_AFTER_S, self._announce
            )

    def _announce(self) -> None:
        """Announce a few flows at a time: hundreds of streams may have begun at once."""
        for flow_id in list(self._unannounced)[:PROGRESS_AT_ONCE]:
            del self._unannounced[flow_id]
            if (
                flow_id not in self._active
            ):  # a captured request whose answer began before its own end
                continue
            flow, state = self._active[flow_id]
            hand_over = self._sink.started if flow.response is None else self._sink.progress
            hand_over(build_record(flow, state, "live"))
        waiting = bool(self._unannounced)
        self._announcement = (
            asyncio.get_running_loop().call_later(0, self._announce) if waiting else None
        )

    async def _tick(self) -> None:
        with suppress(asyncio.CancelledError):
            while True:
                if not self._active:
                    self._has_flows.clear()
                    await self._has_flows.wait()
                await asyncio.sleep(PROGRESS_INTERVAL_S)
                self._hand_over_running()

    def _hand_over_running(self) -> None:
        """Give the sink the streams whose turn it is.

        With hundreds of streams each comes less often, so that writing keeps up with them.
        """
        moving = [
            flow_id
            for flow_id, (_, state) in self._active.items()
            if (state.tee and state.tee.upstream.size_bytes) or state.messages
        ]
        for flow_id in moving[:PROGRESS_AT_ONCE]:
            self._active[flow_id] = flow, state = self._active.pop(
                flow_id
            )  # to the end of the line
            self._sink.progress(build_record(flow, state, "live"))


def _page(flow: HTTPFlow) -> SideRecord | None:
    """Return the error page that takes the place of a response; the caller is set."""
    response = expected_page(flow)
    if response is None:
        return None
    body = response.raw_content or b""
    side = response_side("delivered", response)
    return replace(side, body=body, body_size_bytes=len(body))


def _forget(state: FlowState) -> None:
    """Drop buffers that the sink has; an HTTP/2 connection may keep its flows for long."""
    if state.tee is not None:
        state.tee.let_go()
    state.tee, state.messages, state.exchange = None, [], None
    # It holds the request that candidates are made of.
    state.chain = None
    if state.observed is not None:
        state.observed = state.client = state.forwarded = None


def _watch(flow: HTTPFlow, state: FlowState, sink: Sink) -> StreamTee:
    """Return the tee of an unchanged response; live pages follow event streams alone."""
    assert state.observed is not None and flow.response is not None  # noqa: S101  # narrowed by the caller
    live = is_event_stream(flow.response)
    tape = state.observed.new_tape()
    return StreamTee(flow.id, state.ms, sink.delta if live else _tell_nobody, tape=tape)


def _tell_nobody(delta: FlowDelta) -> None:
    """Drop a delta: pages follow event streams alone, and a download is no live text."""


def _frame(flow: HTTPFlow, response: Response) -> None:
    """Frame a body so that the client's HTTP/1.1 connection can stay open (RFC 9112, 6.3)."""
    headers = response.headers
    if (
        flow.request.http_version != "HTTP/1.1"
        or "content-length" in headers
        or "transfer-encoding" in headers
    ):
        return
    headers["transfer-encoding"] = "chunked"
    response.http_version = "HTTP/1.1"


def _has_no_body(flow: HTTPFlow, response: Response) -> bool:
    """Return True for a response that ends with its headers (RFC 9112, 6.3)."""
    if flow.request.method == "HEAD" or response.status_code in (204, 304):
        return True
    length = response.headers.get("content-length", "")
    return length.isdecimal() and int(length) == 0


def _should_stream(flow: HTTPFlow, response: Response) -> bool:
    """Return True for successful responses and event streams; errors are small and are held."""
    return is_event_stream(response) or (
        200 <= response.status_code < 300 and flow.request.method != "HEAD"
    )
