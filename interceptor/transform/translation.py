"""Translation of one flow: the request at once, the response buffered or by events. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import time
from typing import Any, NamedTuple, cast

from flows.bytes.decode import decode
from interceptor.bedrock.event_frames import UnframedEvents
from interceptor.pipeline.headers import Fields, HeaderMap
from interceptor.pipeline.stream_stages import DecodingStage, StreamStages
from interceptor.transform.decision import Decision
from providers.base.errors import BadUpstreamAnswer
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    BEDROCK_CLAUDE,
    GOOGLE_GENERATE,
    PERPLEXITY_ASK,
    WireFormatName,
)
from providers.wire.answer_form import failure_in_answer
from providers.wire.core.base import AnswerContext, RequestEdit, ServerTools, TargetInfo
from providers.wire.core.ir import Failure, Loss
from providers.wire.core.jsonio import dumps, loads
from providers.wire.counting import translate_count_request, translate_count_response
from providers.wire.detect import is_stream, model_of, split_query
from providers.wire.errors import error_body
from providers.wire.facts.table import FactTable
from providers.wire.failure_translation import (
    carries_response,
    decoded_error,
    no_response,
    translate_failure,
)
from providers.wire.failures.reported_failure import ReportedFailure
from providers.wire.google_generate.envelope import (
    CODE_ASSIST_TYPE,
    EnvelopeStream,
    enveloped,
    is_google_error,
    without_envelope,
)
from providers.wire.rules.limits import translate_headers
from providers.wire.translate import (
    StreamTranslator,
    translate_request,
    translate_response,
)

ANTHROPIC_VERSION = "2023-06-01"
_VENDOR_PREFIXES = (
    b"anthropic-",
    b"openai-",
    b"x-goog-",
    b"x-stainless-",
    b"chatgpt-",
    b"x-codex-",
)
"""Headers that mean something to the client's own vendor alone."""

_NO_LONGER_TRUE = (
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "content-type",
    "content-md5",
    "digest",
)


class Answered(NamedTuple):
    """A translated response; `failure` is what the provider, or its response, failed with."""

    status: int
    body: bytes
    failure: str = ""


@dataclass(slots=True)
class Translation:
    """State that brings the response back into the client's format."""

    client: WireFormatName
    provider: WireFormatName
    stream: bool
    context: AnswerContext
    counting: bool = False
    """The client asked for the number of its request's tokens, not for a completion."""
    envelope: bool = False
    """Client and provider speak Google's format, the provider in Code Assist's envelope."""
    framed: bool = False
    """The provider sends its streams in Amazon's frames, and errors in Amazon's form."""
    losses: list[tuple[str, str]] = field(default_factory=list)
    translator: StreamTranslator | EnvelopeStream | UnframedEvents | None = None

    def open_stream(self, content_encoding: str) -> StreamStages:
        """Return the stages that translate the provider's bytes as they come."""
        self.translator = self._new_translator()
        if content_encoding in ("", "identity"):
            return StreamStages([self.translator])
        return StreamStages([DecodingStage(content_encoding), self.translator])

    def _new_translator(self) -> StreamTranslator | EnvelopeStream | UnframedEvents:
        if self.envelope:
            return EnvelopeStream(json_array=self.context.json_array)
        if self.client == self.provider:
            return UnframedEvents()
        return StreamTranslator(self.provider, self.client, context=self.context)

    def answer(self, status: int, body: bytes, content_encoding: str) -> Answered:
        """Return the provider's buffered response or error for the client.

        An error that the provider sent with a status of success gets the status of its kind.
        """
        plain = decode(body, content_encoding).data
        if status >= 400:
            failure = decoded_error(status, plain, self.provider)
            # Google's own error has details for Google's own clients, such as RetryInfo.
            if self.envelope and is_google_error(plain):
                return Answered(status, plain, failure.message)
            return self._failed(failure)
        is_native = self.client == self.provider and not self.envelope
        if not is_native and not carries_response(status):
            return self._failed(no_response(status, plain, self.provider))
        try:
            return Answered(status, self._answer(plain))
        except ReportedFailure as exc:
            return self._failed(exc.failure)
        except BadUpstreamAnswer as exc:
            return Answered(502, error_body(self.client, 502, str(exc)), str(exc))

    def _answer(self, plain: bytes) -> bytes:
        """Return a response in the client's format. Raises `BadUpstreamAnswer`."""
        if self.counting:
            counted = translate_count_response(_parsed(plain), self.provider, self.client)
            return dumps(counted)
        if self.stream:
            return self._streamed(plain)
        if self.client == self.provider and not self.envelope:
            return plain
        # A failure with a status of success is left to the translation, which raises it.
        if self.envelope and failure_in_answer(plain, status=200) is None:
            inner = without_envelope(plain)
            if inner is not None:
                return inner
        answer, losses = translate_response(plain, self.provider, self.client, context=self.context)
        self.losses += [(loss.path, loss.reason) for loss in losses]
        return dumps(answer)

    def _streamed(self, plain: bytes) -> bytes:
        """Translate a complete body into the client's stream, whatever form the body has."""
        translator = self._new_translator()
        out = translator.feed(plain)
        out += translator.flush()
        # Before the first byte an error can still have its own status.
        if translator.failure is not None and not translator.started:
            raise ReportedFailure(translator.failure)
        self.translator = translator
        return out

    def _failed(self, failure: Failure) -> Answered:
        error = translate_failure(failure, self.provider, self.client)
        return Answered(error.status, error.body, failure.message)

    @property
    def all_losses(self) -> list[tuple[str, str]]:
        """The losses of request and response so far, each once."""
        streamed = (
            [(loss.path, loss.reason) for loss in self.translator.losses] if self.translator else []
        )
        return list(dict.fromkeys([*self.losses, *streamed]))

    def answer_type(self, *, streamed: bool) -> str:
        """Return the content type that the client expects."""
        if streamed and not self.context.json_array:
            return "text/event-stream; charset=utf-8"
        return "application/json"


def _parsed(data: bytes) -> Any:
    try:
        return loads(data)
    except (ValueError, RecursionError):
        raise BadUpstreamAnswer("The provider answered with something that is not JSON.") from None


def begin(
    decision: Decision,
    client: WireFormatName,
    path: str,
    body: Any,
    edits: Sequence[RequestEdit] = (),
    table: FactTable | None = None,
) -> tuple[Translation, bytes]:
    """Translate the request; return what brings the response back, and the provider's body.

    Args:
        decision: where it goes, with the provider and its format.
        client: the client's format.
        path: the client's path with its query.
        body: the parsed body.
        edits: changes of the neutral request.
        table: the facts about models; None is what ccproxy ships.

    Raises:
        MalformedBody: the client's body does not follow its format.
        UnsupportedByTarget: the provider's format has no place for something that must not be
            dropped.
    """
    provider, fmt = decision.provider, decision.provider_format
    if provider is None or fmt is None:
        raise ValueError("a translation needs a provider with a wire format")
    body_object = body if isinstance(body, dict) else None
    stream = is_stream(client, path, body_object)
    requested = model_of(path, body_object)
    target = _target_of(decision, stream=stream, table=table)
    envelope = client == fmt == GOOGLE_GENERATE and provider.type == CODE_ASSIST_TYPE
    losses: list[Loss] = []
    if decision.counting:
        translated, losses = translate_count_request(
            body, client, fmt, target=target, model=requested
        )
    elif envelope and body_object is not None and not edits:
        translated = enveloped(body_object, target.model or requested or "")
    else:
        translated, losses = translate_request(
            body, client, fmt, target=target, model=requested, edits=edits
        )
    translation = Translation(
        client,
        fmt,
        stream,
        _context_of(client, path, body, stream=stream, host=target.host),
        counting=decision.counting,
        envelope=envelope,
        framed=provider.type == BEDROCK_CLAUDE,
        losses=[(loss.path, loss.reason) for loss in losses],
    )
    return translation, dumps(translated)


def unwrapping(path: str, body: Any) -> Translation:
    """Return what takes Code Assist's envelope off the response to a request in Google's format.

    `path` and `body` are the client's own.
    """
    stream = is_stream(GOOGLE_GENERATE, path)
    context = _context_of(GOOGLE_GENERATE, path, body, stream=stream)
    return Translation(GOOGLE_GENERATE, GOOGLE_GENERATE, stream, context, envelope=True)


def unframing(client: WireFormatName, path: str, body: Any) -> Translation:
    """Return what unframes the response to a request in the provider's own format."""
    stream = is_stream(client, path, body if isinstance(body, dict) else None)
    context = _context_of(client, path, body, stream=stream)
    return Translation(client, client, stream, context, framed=True)


def _context_of(
    client: WireFormatName, path: str, body: Any, *, stream: bool, host: str = ""
) -> AnswerContext:
    query = split_query(path)[1].split("&")
    return AnswerContext(
        client_body=body,
        model=model_of(path, body if isinstance(body, dict) else None),
        json_array=client == GOOGLE_GENERATE and stream and "alt=sse" not in query,
        host=host,
    )


def edited(
    decision: Decision, client: WireFormatName, path: str, body: Any, edits: Sequence[RequestEdit]
) -> tuple[bytes, list[tuple[str, str]]]:
    """Make changes of the neutral request for a provider of the client's own format.

    Returns the body, and (path, reason) of what its format could not express.

    Raises:
        MalformedBody: the client's body does not follow its format.
        UnsupportedByTarget: the format has no place for what an edit added.
    """
    body_object = body if isinstance(body, dict) else None
    target = _target_of(decision, stream=is_stream(client, path, body_object))
    changed, losses = translate_request(
        body, client, client, target=target, model=model_of(path, body_object), edits=edits
    )
    return dumps(changed), [(loss.path, loss.reason) for loss in losses]


def _target_of(decision: Decision, *, stream: bool, table: FactTable | None = None) -> TargetInfo:
    provider = decision.provider
    return TargetInfo(
        provider_type=provider.type if provider else "",
        model=decision.model or None,
        stream=stream,
        host=decision.host or (provider.host if provider else ""),
        table=table,
        options=provider.ask if provider else None,
        server_tools=_server_tools(decision),
    )


def _server_tools(decision: Decision) -> ServerTools:
    """Return what happens to the client's server tools: the rule's word, else the provider's."""
    own = decision.rule.server_tools if decision.rule else ""
    word = own or (decision.provider.server_tools if decision.provider else "")
    return cast(ServerTools, word or "drop")


def request_headers(headers: HeaderMap, provider: WireFormatName) -> None:
    """Replace headers of the client's vendor and the old body by those that the provider needs."""
    headers.fields = tuple(
        f for f in headers.fields if not f[0].lower().startswith(_VENDOR_PREFIXES)
    )
    headers.remove("content-encoding")
    headers.set("content-type", "application/json")
    headers.set(
        "accept-encoding", "identity"
    )  # the answer is read here, compression would only cost time
    if provider == ANTHROPIC_MESSAGES:
        headers.set("anthropic-version", ANTHROPIC_VERSION)
    if provider == PERPLEXITY_ASK:
        # The session travels as a cookie; the client's own ones are not for this host.
        headers.remove("cookie")


def answer_headers(fields: Fields, translation: Translation, content_type: str) -> Fields:
    """Return the provider's headers as the client's vendor would send them.

    Rate limits and request id get that vendor's names.
    """
    kept = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in fields
        if name.decode("latin-1").lower() not in _NO_LONGER_TRUE
    ]
    renamed = translate_headers(kept, translation.provider, translation.client, now_s=time())
    named = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in renamed)
    return (*named, (b"content-type", content_type.encode()))
