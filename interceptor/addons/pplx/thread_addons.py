"""Responses of Perplexity: the thread's ids are remembered, and shown to the client."""

from __future__ import annotations

from collections.abc import Callable

from mitmproxy.http import HTTPFlow

from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.hooks.conversation_key import Texts, key_of
from interceptor.hooks.pplx_thread_inject import DIVERGENCE, TEXTS
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.stream_stages import StreamStages
from providers.base.names import PERPLEXITY_ASK
from providers.perplexity.threads import ThreadIds
from providers.wire.core.sse import SseParser
from providers.wire.perplexity.ask_conf import AskConf
from providers.wire.perplexity.stream import PerplexityStreamDecoder
from providers.wire.translate import StreamTranslator

SLUG_HEADER = "x-ccproxy-perplexity-thread-slug"
DIVERGENCE_HEADER = "x-ccproxy-perplexity-divergence"


class PerplexityAddon:
    """Stands behind the translation and before the record."""

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Watch a stream for its end; the thread is remembered before the client has that end."""
        state = state_of(flow)
        if state is None or not _is_ask(state) or state.exchange is None:
            return
        translator = state.translation.translator if state.translation else None
        if state.stages is not None and isinstance(translator, StreamTranslator):
            exchange = state.exchange
            watch = _AtEnd(translator, lambda decoder: remember(exchange, decoder))
            state.stages = StreamStages([_Joined(state.stages), watch])

    def response(self, flow: HTTPFlow) -> None:
        """Remember the thread of a buffered response, and name it in a header."""
        state, response = state_of(flow), flow.response
        if state is None or response is None or state.exchange is None or not _is_ask(state):
            return
        if state.stages is not None or state.upstream is None or response.status_code >= 400:
            return
        decoder = _decoded(state.upstream.body or b"")
        remember(state.exchange, decoder)
        if slug := decoder.ids.get("thread_url_slug"):
            response.headers[SLUG_HEADER] = _ascii(slug)


class PerplexityHeadersAddon:
    """Stands behind the record: its header is the client's, not the provider's."""

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Say that the thread has other entries than the request."""
        state = state_of(flow)
        if state is None or state.exchange is None or flow.response is None:
            return
        if divergence := state.exchange.metadata.get(DIVERGENCE):
            flow.response.headers[DIVERGENCE_HEADER] = _ascii(divergence)


def remember(exchange: Exchange, decoder: PerplexityStreamDecoder) -> None:
    """Keep the thread for the conversation's next request, if that was asked for."""
    texts = exchange.metadata.get(TEXTS)
    backend, context = decoder.ids.get("backend_uuid"), decoder.ids.get("context_uuid")
    if not isinstance(texts, Texts) or exchange.perplexity is None or not (backend and context):
        return
    conf = (exchange.provider.ask if exchange.provider else None) or AskConf()
    ids = ThreadIds(
        backend,
        context,
        decoder.ids.get("read_write_token", ""),
        decoder.ids.get("thread_url_slug", ""),
    )
    key = key_of(texts.followed_by(decoder.text))
    exchange.perplexity.remember(key, ids, conf.thread.ttl_s)


def _is_ask(state: FlowState) -> bool:
    return state.translation is not None and state.translation.provider == PERPLEXITY_ASK


def _decoded(body: bytes) -> PerplexityStreamDecoder:
    decoder, parser = PerplexityStreamDecoder(), SseParser()
    for event in [*parser.feed(body), *parser.flush()]:
        decoder.feed(event)
    return decoder


def _ascii(text: str) -> str:
    return "".join([c for c in text if " " <= c <= "~"])[:300]


class _Joined:
    """The stages before as one stage."""

    def __init__(self, stages: StreamStages) -> None:
        self.feed: Callable[[bytes], bytes] = stages.feed
        self.flush: Callable[[], bytes] = stages.flush
        self.fail: Callable[[int, str], bytes] = stages.fail


class _AtEnd:
    """Stage that calls back once, when the translation has ended well."""

    def __init__(
        self, translator: StreamTranslator, call: Callable[[PerplexityStreamDecoder], None]
    ) -> None:
        self._translator = translator
        self._call: Callable[[PerplexityStreamDecoder], None] | None = call

    def feed(self, data: bytes, /) -> bytes:
        """Return the bytes as they came."""
        decoder = self._translator.decoder
        if self._translator.finish is not None and self._call is not None:
            call, self._call = self._call, None
            if isinstance(decoder, PerplexityStreamDecoder):
                call(decoder)
        return data

    def flush(self) -> bytes:
        """Return nothing: no byte is kept back."""
        return b""

    def fail(self, status: int, message: str, /) -> bytes:
        """Return the translation's own end of a broken stream."""
        return self._translator.fail(status, message)
