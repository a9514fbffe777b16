"""Translation of buffered responses and errors; streams get their stages."""

from __future__ import annotations

import math
from dataclasses import replace

from mitmproxy.http import HTTPFlow, Response

from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.exchange.tee import is_event_stream
from interceptor.transform.translation import Translation, answer_headers
from providers.wire.rules.limits import retry_after_s

LOSSES_HEADER = "x-ccproxy-losses"
MAX_LOSSES_CHARS = 4000


class TranslateAddon:
    """Stands before the record addon, which keeps the provider's response and the delivered one."""

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Give a stream its stages; hold every other response until it is complete."""
        state, response = state_of(flow), flow.response
        translation = state.translation if state else None
        if state is None or response is None or translation is None or state.forwarded is None:
            return
        if translation.stream and response.status_code < 400 and is_event_stream(response):
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
                state.error = state.error or translation.translator.failure.message
            return
        body = response.raw_content or b""
        state.upstream = replace(state.upstream, body=body, body_size_bytes=len(body))
        encoding = str(response.headers.get("content-encoding", "")).strip().lower()
        status, answer = translation.answer(response.status_code, body, encoding)
        streamed = translation.stream and status < 400
        rewrite_head(response, translation, streamed=streamed)
        show_losses(state, response)
        wait_s = retry_after_s(body, translation.provider) if status in (429, 503) else None
        if wait_s is not None and "retry-after" not in response.headers:
            response.headers["retry-after"] = str(math.ceil(wait_s))
        if status != response.status_code:
            state.error = "The provider's answer could not be translated."
            response.status_code = status
        response.raw_content = answer
        response.headers["content-length"] = str(len(answer))


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
