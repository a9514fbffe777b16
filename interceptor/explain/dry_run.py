"""What the proxy would do with a request: every rule's conditions, the route, the hooks, what would
leave. No network.

The very functions of the request path run on a copy of the request. Credentials are never resolved
(a placeholder stands for them), preparations of hooks are left out, and so is a user's own code,
which may do anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync

from flows.record import Headers, HookStep
from interceptor.access.client_access import find_token, split_key, take_token
from interceptor.addons.egress import refusal_to_inject, stamp_credential
from interceptor.addons.guard import scope_refusal
from interceptor.addons.inspector import INTERNAL_PREFIX
from interceptor.addons.transform import change_body
from interceptor.addons.websocket import REFUSAL, asks_for_websocket, speaks_websocket
from interceptor.config.snapshot.schema import RuleConf, Snapshot
from interceptor.exchange.flow_state import FlowState
from interceptor.hooks.inject_auth import resolve_credential
from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import HeaderMap
from interceptor.pipeline.overrides import HEADER as OVERRIDES_HEADER
from interceptor.pipeline.overrides import parse_overrides
from interceptor.pipeline.plan import Plan, PlannedHook
from interceptor.pipeline.runner import as_record, describe_change, run_stage
from interceptor.transform.dispatch import Decision, decide
from interceptor.transform.match import Facts, conditions, host_names
from providers.auth.resolve import DEFAULT_HEADER, Credential, source_noun
from providers.base.errors import AuthConfigError, MalformedBody, UnsupportedByTarget
from providers.wire.detect import client_format, family_of, model_of

OWN_HOOK = "your own hook would run here; a dry run leaves it out"
NEEDS_IO = "it would run here; a dry run leaves out what asks a file or the network first"


@dataclass(frozen=True, slots=True)
class DryRequest:
    """A request as a client sends it. `url` is absolute or a path; the body is as on the wire."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""
    source: str = "reverse"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule: what it wants, what the request has, and whether that matches."""

    name: str
    wanted: str
    seen: str
    holds: bool


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """A rule and its conditions. `reached` is false for the rules after the first match."""

    rule: RuleConf
    conditions: tuple[Condition, ...]
    reached: bool

    @property
    def matches(self) -> bool:
        """Whether all conditions hold."""
        return all(condition.holds for condition in self.conditions)


@dataclass(slots=True)
class Explanation:
    """Everything a dry run found out.

    Without `problem` the request would leave as `url`, `headers` and `body`.
    """

    request: DryRequest
    client_format: str = ""
    requested_model: str = ""
    rules: list[RuleVerdict] = field(default_factory=list)
    decision: Decision | None = None
    credential: str = ""
    steps: list[HookStep] = field(default_factory=list)
    losses: list[tuple[str, str]] = field(default_factory=list)
    session_id: str = ""
    problem: str = ""
    status_code: int = 0
    url: str = ""
    headers: Headers = ()
    body: bytes = b""


def explain(snapshot: Snapshot, request: DryRequest) -> Explanation:
    """Take the request through the pipeline of a snapshot.

    Call it from a thread without an event loop.
    """
    found: Explanation = async_to_sync(_explain)(snapshot, request)
    return found


async def _explain(snapshot: Snapshot, request: DryRequest) -> Explanation:
    state, ex = _opened(snapshot, request)
    found = Explanation(request, ex.client_format or "", state.requested_model)
    left_out: dict[str, str] = {}
    try:
        await run_stage(_dry(snapshot.inbound, left_out), ex, state.overrides, state.steps)
        _route(state, ex, found)
        if not found.problem:
            await run_stage(_dry(snapshot.outbound, left_out), ex, state.overrides, state.steps)
            _leave(state, ex, found)
    except AuthConfigError as exc:
        found.problem, found.status_code = str(exc), exc.status_code
    found.steps = [_told(step, left_out) for step in state.steps]
    found.session_id = str(ex.metadata.get("session_id", ""))
    return found


def _opened(snapshot: Snapshot, request: DryRequest) -> tuple[FlowState, Exchange]:
    """The exchange as the inspector opens it."""
    sent = tuple(
        (n.encode("utf-8", "surrogateescape"), v.encode("utf-8", "surrogateescape"))
        for n, v in request.headers
    )
    fields, token = take_token(sent)
    plain_url, in_url = split_key(request.url)
    place = _place(plain_url)
    headers = HeaderMap(fields)
    state = FlowState(
        snapshot, "dry-run", source=request.source, family=family_of(place["path"], headers.get)
    )
    # Of a recorded token only a mark is left, which says nothing of what it covers.
    state.client_token = find_token(token or in_url, snapshot.client_tokens)
    state.overrides = parse_overrides(headers.get(OVERRIDES_HEADER))
    state.client_format = client_format(place["path"], headers.get)
    state.exchange = ex = Exchange(
        flow_id="dry-run",
        method=request.method,
        headers=HeaderMap(tuple(f for f in fields if not f[0].lower().startswith(INTERNAL_PREFIX))),
        body=Body(request.body, headers.get("content-encoding") or ""),
        providers=snapshot.providers,
        source=request.source,
        client_format=state.client_format,
        **place,
    )
    state.requested_model = model_of(ex.path, _object(ex)) or ""
    return state, ex


def _bytes(text: str) -> bytes:
    """Of a header; a lone surrogate that stands for no byte becomes a question mark."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _place(url: str) -> dict[str, Any]:
    """Scheme, host, port and path of an address; of a bare path on this machine."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit("http://localhost/"), None
    scheme = parts.scheme if parts.scheme in ("http", "https") else "http"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    default_port = 443 if scheme == "https" else 80
    return {
        "scheme": scheme,
        "host": parts.hostname or "localhost",
        "port": port or default_port,
        "path": path,
    }


def _object(ex: Exchange) -> dict[str, Any] | None:
    parsed = ex.body.peek() if ex.method != "GET" else None
    return parsed if isinstance(parsed, dict) else None


def _dry(plan: Plan, left_out: dict[str, str]) -> Plan:
    """The plan without preparations; a hook that needs one, or is not ours, is noted in `left_out`
    and does not run.
    """
    return Plan(
        tuple(tuple(_dry_hook(planned, left_out) for planned in level) for level in plan.levels)
    )


def _dry_hook(planned: PlannedHook, left_out: dict[str, str]) -> PlannedHook:
    if planned.spec.prepare is resolve_credential:
        return planned  # without a resolver it only looks the provider up
    if planned.builtin and planned.spec.prepare is None:
        return planned
    original = planned.spec.guard if planned.builtin else None

    def never(ex: Exchange) -> bool:
        if original is None or original(ex):
            left_out[planned.label] = NEEDS_IO if planned.builtin else OWN_HOOK
        return False

    return replace(planned, spec=replace(planned.spec, prepare=None, guard=never), builtin=True)


def _told(step: HookStep, left_out: dict[str, str]) -> HookStep:
    """The times of a dry run mean nothing; a hook that was left out says why."""
    reason = left_out.get(step.hook, step.reason) if step.outcome == "skipped" else step.reason
    return replace(step, reason=reason, prepare_ms=0.0, apply_ms=0.0)


def _route(state: FlowState, ex: Exchange, found: Explanation) -> None:
    """Decide and apply, as the transform addon does."""
    facts = facts_of(ex)
    found.rules = verdicts(state.snapshot, facts)
    found.decision = decision = state.decision = decide(
        state.snapshot,
        facts,
        sentinel=ex.provider,
        client_format=state.client_format,
        method=ex.method,
        body=_object(ex),
        transparent=ex.source not in ("reverse", "import"),
        family=state.family,
    )
    if asks_for_websocket(ex) and not speaks_websocket(decision, state):
        found.problem, found.status_code = REFUSAL, 426
        return
    if decision.status_code:
        found.problem, found.status_code = decision.route, decision.status_code
        return
    if reason := scope_refusal(state.client_token, decision):
        found.problem, found.status_code = reason, 403
        return
    point = ex.checkpoint()
    ex.provider = decision.provider
    if decision.host:
        ex.scheme, ex.host, ex.port, ex.path = (
            decision.scheme,
            decision.host,
            decision.port,
            decision.path,
        )
    try:
        change = change_body(state, ex, decision)
    except (MalformedBody, UnsupportedByTarget) as exc:
        found.problem, found.status_code = str(exc), 400
        return
    for name, value in decision.provider.headers if decision.provider else ():
        ex.headers.set(name, value)
    found.losses = list(state.translation.all_losses) if state.translation else []
    state.steps.append(
        describe_change("transform", decision.action, ex, point, change, reason=decision.route)
    )


def facts_of(ex: Exchange) -> Facts:
    """What rules look at."""
    hosts = host_names(ex.headers.get("host") or ex.host, ex.headers.get("x-forwarded-host"))
    return Facts(hosts, ex.path, model_of(ex.path, _object(ex)) or "")


def verdicts(snapshot: Snapshot, facts: Facts) -> list[RuleVerdict]:
    """Every rule in order with every condition, the first that matches and those after it
    included.
    """
    found: list[RuleVerdict] = []
    reached = True
    for rule in snapshot.rules:
        verdict = RuleVerdict(rule, tuple(_conditions(rule, facts)), reached)
        reached = reached and not verdict.matches
        found.append(verdict)
    return found


def _conditions(rule: RuleConf, facts: Facts) -> Sequence[Condition]:
    seen = {"host": ", ".join(facts.hosts), "path": facts.path, "model": facts.model}
    patterns = {"host": rule.match_host, "path": rule.match_path, "model": rule.match_model}
    holds = conditions(rule, facts)
    return [
        Condition(name, str(getattr(patterns[name], "pattern", "")), seen[name], holds[name])
        for name in holds
    ]


def _leave(state: FlowState, ex: Exchange, found: Explanation) -> None:
    """The credential's place and the headers that leave, as the egress addon does."""
    provider = ex.provider
    if provider is not None and provider.auth is not None:
        header = provider.auth.header.lower() or DEFAULT_HEADER
        token = f"‹credential of {provider.name}›"
        value = f"Bearer {token}" if header == DEFAULT_HEADER else token
        refused = refusal_to_inject(ex)
        what = f"the {source_noun(provider.auth.type)} of {provider.name}"
        found.credential = f"withheld: {refused}" if refused else f"{what}, in the header {header}"
        stamp_credential(state, ex, Credential(header, value, token, provider.auth.type))
    elif provider is not None:
        found.credential = (
            f"none: {provider.name} has no credential source, the client's own headers are sent"
        )
    ex.headers.fields = tuple(
        f for f in ex.headers.fields if not f[0].lower().startswith(INTERNAL_PREFIX)
    )
    _set_host(ex)
    found.url, found.headers, found.body = ex.url, as_record(ex.headers.fields), ex.body.data


def _set_host(ex: Exchange) -> None:
    name = f"[{ex.host}]" if ":" in ex.host else ex.host
    default_port = 443 if ex.scheme == "https" else 80
    ex.headers.set("host", name if ex.port == default_port else f"{name}:{ex.port}")
