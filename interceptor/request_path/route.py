"""Routing: decide, point the exchange at its destination, change or translate the body."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Final

from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.refusal_table import Kind, kind_of_route
from interceptor.exchange.refused import refuse_for
from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Exchange, ResolvesCredentials
from interceptor.pipeline.runner import describe_change
from interceptor.request_path.open_exchange import asked_model, object_or_none, parsed_body
from interceptor.request_path.scope import scope_refusal
from interceptor.request_path.surroundings import Surroundings
from interceptor.request_path.upgrade import asks_for_websocket, refuse_upgrade, speaks_websocket
from interceptor.transform.candidate_chain import (
    CandidateChain,
    copied,
    fallbacks_of,
    may_go_elsewhere,
)
from interceptor.transform.capacity_policy import CapacityPolicy, capacity_models
from interceptor.transform.cloud_claude import fit_for_cloud
from interceptor.transform.decision import Decision
from interceptor.transform.dispatch import decide, decide_fallback, decide_own
from interceptor.transform.forwarded import decide_again
from interceptor.transform.history_marks import take_out_marks
from interceptor.transform.match import Facts, host_names
from interceptor.transform.translation import begin, edited, request_headers, unframing
from providers.auth.resolve import Credential
from providers.base.errors import MalformedBody, RefuseRequest, UnsupportedByTarget
from providers.base.names import BEDROCK_CLAUDE, GOOGLE_GENERATE, WireFormatName
from providers.fallbacks import Fallback
from providers.wire.fitting.broken_rules import broken_rules
from providers.wire.surgery import replace_model

_ENVELOPED: Final = "/v1internal:"
REPAIRED: Final = "Bytes and escapes that are no Unicode were replaced by U+FFFD."


async def route(state: FlowState, exchange: Exchange, around: Surroundings) -> None:
    """Route the request: first matching rule, else the sentinel key's provider, else a refusal.

    Where the destination has fallbacks, those that cool down are skipped.
    """
    state.decision = decision = _decide(state, exchange)
    state.wants_websocket = asks_for_websocket(exchange.headers.get)
    if state.wants_websocket and not speaks_websocket(decision, state):
        refuse_upgrade(state)
        return
    if not decision.status_code and not state.wants_websocket:
        state.chain = _chain_of(state, exchange, decision, around.capacity)
        if state.chain is not None:
            decision = _first_ready(state, exchange, state.chain, around)
    await follow(state, exchange, decision, around)


async def follow(
    state: FlowState, exchange: Exchange, decision: Decision, around: Surroundings
) -> None:
    """Point the exchange where a decision sends it, or refuse the request as it says."""
    state.decision = decision
    if decision.status_code:
        kind = kind_of_route(decision.status_code, has_provider=decision.provider is not None)
        state.refuse(kind, decision.route)
        return
    await _recall_reasoning(state, exchange, decision, around)
    await _apply(state, exchange, decision, around.resolver)


async def _recall_reasoning(
    state: FlowState, exchange: Exchange, decision: Decision, around: Surroundings
) -> None:
    """Get the reasoning of the conversation that another process translated."""
    spoken, target = state.client_format, decision.provider_format
    if around.reasoning is None or decision.action != "transform":
        return
    if spoken is not None and target is not None:
        await around.reasoning.restore(exchange.body.peek(), spoken, target)


def _chain_of(
    state: FlowState, exchange: Exchange, decision: Decision, capacity: CapacityPolicy | None
) -> CandidateChain | None:
    """Return the chain of a request that has fallbacks, None for all others."""
    # A request that is sent again as forwarded shows what its own destination says to it.
    if state.as_forwarded:
        return None
    # The client's own credential is for the provider of its base path alone.
    if state.to_provider is not None:
        return None
    asked_model = decision.model or state.requested_model
    models: tuple[Fallback, ...] = ()
    if capacity is not None and decision.action != "passthrough":
        models = capacity_models(capacity, decision.provider, asked_model)
    fallbacks = (*models, *fallbacks_of(decision))
    if not fallbacks:
        return None
    if not may_go_elsewhere(exchange.method, exchange.path, state.client_format):
        return None
    return CandidateChain(
        first=decision,
        asked_model=asked_model,
        fallbacks=fallbacks,
        unrouted=copied(exchange),
        step_count=len(state.steps),
        capacity_count=len(models),
    )


def _first_ready(
    state: FlowState, exchange: Exchange, chain: CandidateChain, around: Surroundings
) -> Decision:
    """Return the decision for the first candidate that does not cool down.

    Where all cool down, or none of the others can be used, the first destination is asked.
    """
    for number in range(len(chain.fallbacks) + 1):
        pause = around.cooldowns.of(chain.target(number))
        if pause is not None:
            chain.skip(number, pause.sentence)
            continue
        decision = decision_for(state, exchange, chain, number)
        problem = decision.route if decision.status_code else ""
        problem = problem or scope_refusal(state.client_token, decision)
        if number and problem:
            chain.skip(number, problem)
            continue
        chain.begin(number)
        return decision
    chain.skipped.clear()
    return chain.first


def decision_for(
    state: FlowState, exchange: Exchange, chain: CandidateChain, number: int
) -> Decision:
    """Return the decision for a candidate; `exchange` is as it came to the routing."""
    if not number:
        return chain.first
    return decide_fallback(
        state.snapshot,
        chain.first,
        chain.fallbacks[number - 1],
        facts_of(state, exchange),
        client_format=state.client_format,
        body=object_or_none(parsed_body(exchange)),
    )


def _decide(state: FlowState, exchange: Exchange) -> Decision:
    if state.resend is not None and state.resend.as_forwarded:
        return decide_again(state.snapshot, state.resend, exchange.path, state.client_format)
    if state.to_provider is not None:
        return decide_own(
            state.snapshot,
            facts_of(state, exchange),
            state.snapshot.providers[state.to_provider],
            client_format=state.client_format,
            body=object_or_none(parsed_body(exchange)),
        )
    return decide(
        state.snapshot,
        facts_of(state, exchange),
        sentinel=exchange.provider,
        client_format=state.client_format,
        method=exchange.method,
        body=object_or_none(parsed_body(exchange)),
        transparent=state.source != "reverse",
        family=state.family,
    )


def facts_of(state: FlowState, exchange: Exchange) -> Facts:
    """Return what rules look at, after the inbound hooks."""
    head, headers = state.head, exchange.headers
    named = exchange.host
    forwarded_host = None
    if head is not None:
        # Hooks may have changed Host; :authority stands above it, in HTTP/2 and HTTP/3 alone.
        named = head.authority if head.multiplexed and head.authority else ""
        named = named or ("" if "host" in headers else head.address()[1])
        # X-Forwarded-Host counts only where a proxy on this machine may have set it.
        forwarded_host = headers.get("x-forwarded-host") if head.from_this_machine else None
    own = state.snapshot.providers.get(state.to_provider or "")
    return Facts(
        hosts=host_names(own.host if own else "", named, headers.get("host"), forwarded_host),
        path=exchange.path,
        model=asked_model(exchange),
    )


async def _apply(
    state: FlowState, exchange: Exchange, decision: Decision, resolver: ResolvesCredentials
) -> None:
    """Point the exchange at its destination, with the credential of the provider that serves it."""
    began, point = perf_counter(), exchange.checkpoint()
    try:
        if state.to_provider is None and decision.provider is not exchange.provider:
            exchange.credential = await _credential_of(decision, resolver)
        exchange.provider = decision.provider
        _set_address(state, exchange, decision)
        change = _change_body(state, exchange, decision)
        fitted = fit_for_cloud(exchange.body, exchange.headers, decision.provider, decision.path)
        if fitted is not None:
            change = (change or fitted)[0], fitted[1]
    except RefuseRequest as exc:
        refuse_for(state, exc)
        return
    except (MalformedBody, UnsupportedByTarget) as exc:
        state.refuse(Kind.BAD_REQUEST, str(exc))
        return
    # Headers of the provider's settings may be credentials of ours.
    settings = decision.provider if state.to_provider is None else None
    for name, value in settings.headers if settings else ():
        exchange.headers.set(name, value)
    state.sent_model = decision.model or state.requested_model
    state.steps.append(
        describe_change(
            "transform",
            decision.action,
            exchange,
            point,
            change,
            reason=decision.route,
            started_ms=(began - state.began) * 1000,
            apply_ms=(perf_counter() - began) * 1000,
        )
    )


async def _credential_of(decision: Decision, resolver: ResolvesCredentials) -> Credential | None:
    provider = decision.provider
    if provider is None or provider.auth is None:
        return None
    return await resolver.resolve(provider.name, provider.auth)


def _set_address(state: FlowState, exchange: Exchange, decision: Decision) -> None:
    if state.resend is not None and state.resend.as_forwarded:
        _restore_notes(exchange, state.resend.session_id)
    if decision.host:
        exchange.scheme = decision.scheme
        exchange.host = decision.host
        exchange.port = decision.port
        exchange.path = decision.path


def _restore_notes(exchange: Exchange, session_id: str) -> None:
    """Restore what hooks noted when the request was forwarded first.

    That is its session, and the position of its credential among the headers.
    """
    if session_id:
        exchange.metadata["session_id"] = session_id
    credential = exchange.credential
    position = exchange.headers.index(credential.header) if credential else None
    if position is not None:
        spelling = exchange.headers.fields[position][0].decode("utf-8", "surrogateescape")
        exchange.credential_slot = (position, spelling)


def _change_body(
    state: FlowState, exchange: Exchange, decision: Decision
) -> tuple[bytes, bytes] | None:
    """Translate the body for a provider of another format, else set the model that a rule asks for.

    Returns the plain body before and after, or None where nothing changed.

    Raises:
        MalformedBody: the client's body does not follow its own format.
        UnsupportedByTarget: the provider's format has no place for something of it.
    """
    if decision.action != "transform" or state.client_format is None:
        return _change_native(state, exchange, decision)
    before = exchange.body.decoded() or b""
    parsed = _readable(exchange.body)
    state.translation, after = begin(
        decision,
        state.client_format,
        decision.client_path,
        parsed,
        exchange.edits,
        state.snapshot.model_facts,
    )
    if exchange.body.repaired:
        state.translation.losses.append(("body", REPAIRED))
    exchange.body = Body(after)
    if decision.provider_format:
        request_headers(exchange.headers, decision.provider_format)
    return before, after


def _change_native(
    state: FlowState, exchange: Exchange, decision: Decision
) -> tuple[bytes, bytes] | None:
    """Change the body for a provider of the client's own format; nearly every body stays."""
    # A resend of what left the proxy before has no marks.
    cleaned = None if state.as_forwarded else take_out_marks(exchange, decision.model)
    if cleaned is not None:
        state.edit_losses += cleaned.losses
    _note_broken_rules(state, exchange, decision)
    _expect_frames(state, exchange, decision)
    if exchange.edits and exchange.client_format is not None:
        changed = _make_edits(state, exchange, decision, exchange.client_format)
    else:
        changed = _set_model(exchange, decision.model) if decision.model else None
    if cleaned is None:
        return changed
    return cleaned.before, changed[1] if changed else cleaned.after


def _expect_frames(state: FlowState, exchange: Exchange, decision: Decision) -> None:
    """Have the response of a provider that frames its streams unframed for its own clients."""
    provider = decision.provider
    if provider is None or provider.type != BEDROCK_CLAUDE or state.client_format is None:
        return
    state.translation = unframing(state.client_format, exchange.path, exchange.body.peek())


def _note_broken_rules(state: FlowState, exchange: Exchange, decision: Decision) -> None:
    """Note what the model will refuse in a request that is forwarded as it is."""
    model = decision.model or state.requested_model
    if state.client_format is None or not model or decision.counting:
        return
    facts = state.snapshot.model_facts.of(model, decision.host)
    state.edit_losses += broken_rules(exchange.body.peek(), state.client_format, facts, model)


def _readable(body: Body) -> Any:
    """Return the parsed body. Raises `MalformedBody` with the reason if there is none."""
    parsed = body.peek()
    if parsed is None and body.problem:
        raise MalformedBody(body.problem)
    return parsed


def _make_edits(
    state: FlowState, exchange: Exchange, decision: Decision, wire_format: WireFormatName
) -> tuple[bytes, bytes] | None:
    """Make the hooks' edits of the neutral request for a provider of the client's own format."""
    before = exchange.body.decoded() or b""
    parsed = _readable(exchange.body)
    after, losses = edited(decision, wire_format, exchange.path, parsed, exchange.edits)
    state.edit_losses += losses
    exchange.body.replace_plain(after)
    return before, after


def _set_model(exchange: Exchange, model: str) -> tuple[bytes, bytes] | None:
    """Replace the model's value alone: every other byte of the body stays."""
    plain = exchange.body.decoded()
    # Google names the model in the path, where the decision has put it already; Code Assist's
    # envelope has it in the body.
    is_named_in_path = exchange.client_format == GOOGLE_GENERATE and _ENVELOPED not in exchange.path
    if not plain or is_named_in_path:
        return None
    changed = replace_model(plain, model)
    if changed is None or changed == plain:
        return None
    exchange.body.replace_plain(changed)
    return plain, changed
