"""Dry run of a request: rules with their conditions, route, hooks and result, without network.

The steps are those of live requests (`request_path.steps`); only their surroundings differ. No
credential is resolved: a placeholder stands for it. Preparations of hooks are left out, and so is a
user's own code, which may do anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync

from flows.record import HookStep
from interceptor.access.base_path import take_path_token
from interceptor.access.caller_rules import GuardRules
from interceptor.access.client_access import split_key, take_token
from interceptor.access.closed_addresses import closed_sentence, refusal_of_host
from interceptor.access.grant import NoGrants
from interceptor.config.snapshot.schema import RuleConf, Snapshot
from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.head import RequestHead
from interceptor.exchange.refusal_table import Kind
from interceptor.explain.chain_verdicts import chain_verdicts
from interceptor.explain.explanation import Condition, DryRequest, Explanation, RuleVerdict
from interceptor.hooks.gemini_cli import find_project
from interceptor.hooks.inject_auth import resolve_credential
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import Fields, HeaderMap
from interceptor.pipeline.plan import Plan, PlannedHook
from interceptor.pipeline.project_search import ProjectSearch
from interceptor.pipeline.runner import as_record
from interceptor.request_path.admit import admit
from interceptor.request_path.captured import intended_provider
from interceptor.request_path.leave import refusal_to_inject
from interceptor.request_path.open_exchange import open_exchange
from interceptor.request_path.route import facts_of
from interceptor.request_path.steps import STEPS, Step
from interceptor.request_path.surroundings import Surroundings
from interceptor.request_path.upgrade import asks_for_websocket
from interceptor.shaping.active_shape import ActiveShape
from interceptor.transform.capacity_policy import CapacityPolicy
from interceptor.transform.cooldowns import Cooldowns
from interceptor.transform.decision import Decision
from interceptor.transform.match import Facts, conditions
from interceptor.transform.model_lists import ConfiguredModels
from interceptor.wireguard.destination import Destination
from providers.auth.base import AuthConf
from providers.auth.resolve import DEFAULT_HEADER, Credential, signs_for_aws, source_noun
from providers.base.nearest import no_such
from providers.provider_conf import ProviderConf
from providers.wire.detect import family_of

OWN_HOOK = "your own hook would run here; a dry run leaves it out"
NEEDS_IO = "it would run here; a dry run leaves out what asks a file or the network first"


@dataclass(frozen=True, slots=True)
class PlaceholderProjects:
    """Stands for the search for projects: asks no provider."""

    async def find(
        self, provider: ProviderConf, credential: Credential, search: ProjectSearch
    ) -> str:
        """Return a text that says whose project it would be."""
        del credential, search
        return f"‹project of {provider.name}›"

    def doubt(self, provider: ProviderConf) -> None:
        """Do nothing: a dry run gets no response."""


@dataclass(frozen=True, slots=True)
class PlaceholderCredentials:
    """Stands for the resolver of credentials: reads no source and runs no command."""

    providers: Sequence[str] = ()

    async def resolve(self, provider: str, auth: AuthConf) -> Credential:
        """Return a credential whose token says whose it would be."""
        header = auth.header.lower() or DEFAULT_HEADER
        token = f"‹credential of {provider}›"
        value = f"Bearer {token}" if header == DEFAULT_HEADER else token
        if signs_for_aws(auth):
            # A dry run signs nothing.
            value = f"AWS4-HMAC-SHA256 {token}"
        return Credential(header, value, token, auth.type)


def explain(
    snapshot: Snapshot,
    request: DryRequest,
    rules: GuardRules | None = None,
    *,
    require_token: bool = False,
    own_credentials: bool = True,
    verifies_tls: bool = True,
    version: str = "",
    cooldowns: Cooldowns | None = None,
    capacity: CapacityPolicy | None = None,
) -> Explanation:
    """Take the request through the steps with a snapshot's configuration.

    Call it from a thread without an event loop.

    Args:
        snapshot: the configuration.
        request: the client's request.
        rules: the reverse listener's names and origins; None: loopback names alone.
        require_token: every client must show a client token.
        own_credentials: clients may bring their own credential.
        verifies_tls: certificates of providers without a credential source are verified.
        version: shown by /health.
        cooldowns: pauses of providers; None: none runs.
        capacity: what to do when Code Assist has none; None: nothing.
    """
    around = Surroundings(
        resolver=PlaceholderCredentials(),
        grants=NoGrants(),
        rules=rules or GuardRules(),
        models=ConfiguredModels(),
        projects=PlaceholderProjects(),
        version=version,
        require_token=require_token,
        own_credentials=own_credentials,
        verifies_tls=verifies_tls,
        cooldowns=cooldowns or Cooldowns(),
        capacity=capacity,
    )
    found: Explanation = async_to_sync(_explain)(snapshot, request, around)
    return found


async def _explain(snapshot: Snapshot, request: DryRequest, around: Surroundings) -> Explanation:
    left_out: dict[str, str] = {}
    dry = replace(
        snapshot,
        inbound=_dry_plan(snapshot.inbound, left_out),
        outbound=_dry_plan(snapshot.outbound, left_out),
        seal=_dry_plan(snapshot.seal, left_out),
        shapes=_dry_shapes(snapshot.shapes, left_out),
    )
    head = _head_of(request)
    state = FlowState(
        dry,
        "dry-run",
        source=request.source,
        family=family_of(head.path, HeaderMap(head.fields).get),
        wants_websocket=asks_for_websocket(HeaderMap(head.fields).get),
    )
    found = Explanation(request)
    if request.admitted:
        head.fields, _ = take_token(head.fields)
        head.path, _ = take_path_token(split_key(head.path)[0])
    else:
        await admit(state, head, around)
    if state.answer is None and request.source != "reverse":
        _meet_capture(state, head, found)
    if state.answer is None and not found.url:
        await _run(state, head, around, found)
    _conclude(state, found, left_out)
    return found


async def _run(
    state: FlowState, head: RequestHead, around: Surroundings, found: Explanation
) -> None:
    """Open the exchange and run the steps, noting the rules' conditions before the route."""
    ex = await open_exchange(state, head, found.request.body, around, client_url=found.request.url)
    found.client_format, found.requested_model = ex.client_format or "", state.requested_model
    for step in STEPS:
        if state.answer is not None:
            break
        if step.name == "route":
            found.rules = verdicts(state.snapshot, facts_of(state, ex))
        await _run_step(step, state, ex, around, found)
    found.session_id = str(ex.metadata.get("session_id", ""))
    if state.forwarded is not None:
        found.url, found.headers, found.body = ex.url, state.forwarded.headers, ex.body.data


async def _run_step(
    step: Step, state: FlowState, ex: Exchange, around: Surroundings, found: Explanation
) -> None:
    if step.name == "leave":
        found.credential = _credential_sentence(state, ex)
    await step.run(state, ex, around)


def _conclude(state: FlowState, found: Explanation, left_out: dict[str, str]) -> None:
    """Copy the outcome out of the flow's state."""
    found.decision = state.decision
    found.chain = chain_verdicts(state.chain)
    found.model_note = _model_note(state)
    found.losses = list(state.losses)
    found.steps = [_without_times(step, left_out) for step in state.steps]
    found.problem = state.error
    if state.answer is not None:
        found.status_code, found.answer = state.answer.status_code, state.answer.body


def _model_note(state: FlowState) -> str:
    """Return a sentence if the provider's list of models lacks the one that is asked for."""
    decision = state.decision
    if decision is None or decision.provider is None:
        return ""
    model, provider = decision.model or state.requested_model, decision.provider
    listed = {name.lower() for name in provider.model_names}
    if not model or not listed or model.lower() in listed:
        return ""
    missing = no_such("model", model, provider.model_names)
    return f"in the list of provider {provider.name} {missing}"


def _meet_capture(state: FlowState, head: RequestHead, found: Explanation) -> None:
    """Let a captured request pass as it is, unless its sentinel key names the host's provider."""
    if found.request.source == "forward" and (reason := refusal_of_host(head.host)):
        state.refuse(Kind.OUT_OF_SCOPE, closed_sentence(head.host, head.port, reason))
        return
    headers = HeaderMap(head.fields)
    destination = Destination(
        scheme=head.scheme,
        address=head.host,
        port=head.port,
        sni=head.host if head.scheme == "https" else "",
        authorities=tuple(headers.get_all("host")) or (head.host,),
    )
    provider, note = intended_provider(state, head, destination)
    if provider is not None:
        return
    state.decision = Decision("passthrough", f"forwarded to where it was going{note}")
    found.url, found.body = found.request.url, found.request.body
    found.headers = as_record(head.fields)


def _head_of(request: DryRequest) -> RequestHead:
    """Return the start line and headers as a listener would have read them.

    A bare path came to the reverse listener under this machine's name.
    """
    fields: Fields = tuple((_header_bytes(n), _header_bytes(v)) for n, v in request.headers)
    try:
        parts = urlsplit(request.url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit("http://localhost/"), None
    scheme = parts.scheme if parts.scheme in ("http", "https") else "http"
    path = parts.path or "/"
    if parts.query:
        path += f"?{parts.query}"
    head = RequestHead(request.method, path, fields, scheme=scheme)
    host = parts.hostname or "localhost"
    if request.source != "reverse":
        head.host, head.port = host, port or (443 if scheme == "https" else 80)
    elif "host" not in HeaderMap(fields):
        name = f"[{host}]" if ":" in host else host
        named = name if port is None else f"{name}:{port}"
        head.fields = ((b"host", _header_bytes(named)), *fields)
    return head


def _header_bytes(text: str) -> bytes:
    """Return the bytes of a header; a surrogate that stands for no byte becomes a question mark."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _dry_plan(plan: Plan, left_out: dict[str, str]) -> Plan:
    """Return the plan without preparations.

    A hook that needs one, or is not ours, is noted in `left_out` and does not run.
    """
    levels = [tuple(_dry_hook(planned, left_out) for planned in level) for level in plan.levels]
    return Plan(tuple(levels))


def _dry_shapes(
    shapes: Mapping[str, ActiveShape], left_out: dict[str, str]
) -> dict[str, ActiveShape]:
    """Return the shapes with inner hooks that do no input or output."""
    return {
        name: replace(active, inner=_dry_plan(active.inner, left_out))
        for name, active in shapes.items()
    }


def _dry_hook(planned: PlannedHook, left_out: dict[str, str]) -> PlannedHook:
    # With placeholders for credentials and projects these ask nothing outside.
    if planned.spec.prepare in (resolve_credential, find_project):
        return planned
    if planned.builtin and planned.spec.prepare is None:
        return planned
    original = planned.spec.guard if planned.builtin else None

    def never(ex: Exchange) -> bool:
        if original is None or original(ex):
            left_out[planned.label] = NEEDS_IO if planned.builtin else OWN_HOOK
        return False

    return replace(planned, spec=replace(planned.spec, prepare=None, guard=never), builtin=True)


def _without_times(step: HookStep, left_out: dict[str, str]) -> HookStep:
    """Return the step without times, which mean nothing in a dry run."""
    reason = left_out.get(step.hook, step.reason) if step.outcome == "skipped" else step.reason
    return replace(step, reason=reason, prepare_ms=0.0, apply_ms=0.0, started_ms=0.0)


def verdicts(snapshot: Snapshot, facts: Facts) -> list[RuleVerdict]:
    """Return every rule in order with every condition, also those after the first match."""
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


def _credential_sentence(state: FlowState, ex: Exchange) -> str:
    """Say which credential would leave with the request, or why none would."""
    if state.to_provider is not None:
        return "the client's own, as it was sent"
    provider = ex.provider
    if provider is None:
        return ""
    if provider.auth is None or ex.credential is None:
        return f"none: {provider.name} has no credential source, the client's own headers are sent"
    if refused := refusal_to_inject(ex):
        return f"withheld: {refused}"
    noun = source_noun(provider.auth.type)
    return f"the {noun} of {provider.name}, in the header {ex.credential.header}"
