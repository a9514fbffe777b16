"""Translation of buffered responses and errors; streams get their stages."""

from __future__ import annotations

import math
from dataclasses import replace
from time import time

from mitmproxy.http import HTTPFlow, Response
from mitmproxy.net.http import status_codes

from interceptor.bedrock.aws_signature import region_of
from interceptor.bedrock.event_frames import CONTENT_TYPE as FRAMES_TYPE
from interceptor.bedrock.event_frames import FramedEvents
from interceptor.bedrock.refusals import explained, message_of
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.exchange.tee import is_event_stream
from interceptor.transform.translation import Translation, answer_headers
from providers.wire.core.jsonio import dumps
from providers.wire.failure_translation import carries_response
from providers.wire.rules.limits import retry_after_s

WAITING_HELPS = (429, 503, 529)
MAYBE_WRONG_PROJECT = (400, 403, 404)
VAGUE_LABELS = ("", "text/plain", "application/octet-stream")
LOSSES_HEADER = "x-ccproxy-losses"
MAX_LOSSES_CHARS = 4000


class TranslateAddon:
    """Stands before the record addon, which keeps the provider's response and the delivered one."""

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Give a stream its stages; hold every other response until it is complete."""
        state, response = state_of(flow), flow.response
        if state is not None and response is not None:
            doubt_project(state, response.status_code)
        translation = state.translation if state else None
        if state is None or response is None or translation is None or state.forwarded is None:
            return
        is_framed = translation.framed and is_frames(response)
        if is_framed and translation.stream:
            state.unframe = FramedEvents().feed
        may_stream = is_framed or may_be_stream(response)
        if translation.stream and carries_response(response.status_code) and may_stream:
            state.stages = translation.open_stream(
                str(response.headers.get("content-encoding", "")).strip().lower()
            )
        else:
            state.hold_answer = True

    def response(self, flow: HTTPFlow) -> None:
        """Translate a buffered response or error."""
        state, response = state_of(flow), flow.response
        translation = state.translation if state else None
        if state is None or response is None or translation is None or state.upstream is None:
            return
        if translation.translator is not None:
            if translation.translator.failure is not None:
                state.fail(translation.translator.failure.message)
            return
        body = response.raw_content or b""
        state.upstream = replace(state.upstream, body=body, body_size_bytes=len(body))
        encoding = str(response.headers.get("content-encoding", "")).strip().lower()
        if translation.framed and response.status_code >= 400:
            body = explained_body(state, response, body)
        answered = translation.answer(response.status_code, body, encoding)
        rewrite_head(response, translation, streamed=translation.stream and answered.status < 400)
        show_losses(state, response)
        if answered.status in WAITING_HELPS:
            _name_wait(response, body)
        if answered.failure and response.status_code < 400:
            state.fail(answered.failure)
        if translation.translator is not None and translation.translator.failure is not None:
            state.fail(translation.translator.failure.message)
        _replace_response(response, answered.status, answered.body)


def _name_wait(response: Response, body: bytes) -> None:
    """Add Retry-After if the provider names a wait in its error alone."""
    wait_s = retry_after_s(body)
    if wait_s is not None and "retry-after" not in response.headers:
        response.headers["retry-after"] = str(math.ceil(wait_s))


def _replace_response(response: Response, status: int, body: bytes) -> None:
    if status != response.status_code:
        response.status_code = status
        response.reason = status_codes.RESPONSES.get(status, "")
    response.raw_content = body
    response.headers["content-length"] = str(len(body))


def doubt_project(state: FlowState, status: int) -> None:
    """Have the account's project looked up again after a refusal that may be its fault."""
    exchange = state.exchange
    if status not in MAYBE_WRONG_PROJECT or exchange is None or exchange.provider is None:
        return
    if exchange.projects is not None:
        exchange.projects.doubt(exchange.provider)


def may_be_stream(response: Response) -> bool:
    """Check for a body that may be a stream: by its label, or because the label says nothing.

    The translator sees the form from the bytes. Under another label the body is held, so that an
    error can still get a status of its own.
    """
    # No byte of an empty body reaches the stages, so they could not end the client's stream.
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length) == 0:
        return False
    label = str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()
    return label in VAGUE_LABELS or is_event_stream(response)


def is_frames(response: Response) -> bool:
    """Check for a stream in Amazon's binary frames."""
    return str(response.headers.get("content-type", "")).lower().startswith(FRAMES_TYPE)


def explained_body(state: FlowState, response: Response, body: bytes) -> bytes:
    """Return an error of Amazon's with the cause of a refused signature before its words."""
    exchange, message = state.exchange, message_of(body)
    if not message or exchange is None or exchange.credential is None:
        return body
    keys = exchange.credential.aws_keys
    if keys is None or exchange.provider is None:
        return body
    text = explained(
        message,
        provider=exchange.provider.name,
        region=region_of(exchange.host, keys),
        date=str(response.headers.get("date", "")),
        now_s=time(),
    )
    return dumps({"message": text})


def rewrite_head(response: Response, translation: Translation, *, streamed: bool) -> None:
    """Give the response the headers of the client's vendor."""
    content_type = translation.answer_type(streamed=streamed)
    response.headers.fields = answer_headers(response.headers.fields, translation, content_type)


def show_losses(state: FlowState, response: Response) -> None:
    """List the losses in a header, for a client that asked."""
    if not state.wants_losses:
        return
    text = "; ".join(f"{path}: {reason}" for path, reason in state.losses)
    ascii_text = text[:MAX_LOSSES_CHARS].encode("ascii", "replace").decode()
    response.headers[LOSSES_HEADER] = (
        "".join(c if c.isprintable() else " " for c in ascii_text) or "none"
    )
