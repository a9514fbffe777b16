"""Routing decisions: the first matching rule, else the sentinel key's provider, else a refusal.

Pure: the request path applies a decision, and `explain` shows it without any network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from interceptor.config.snapshot.schema import RuleConf, Snapshot
from interceptor.transform.decision import Decision
from interceptor.transform.match import Facts, first_match
from interceptor.transform.refused_decisions import (
    foreign_side_endpoint,
    no_destination,
    no_side_endpoint,
    untranslatable,
)
from interceptor.transform.target import (
    VERTEX_TYPES,
    provider_path,
    translated_path,
    vertex_address,
)
from providers.base.names import BEDROCK_CLAUDE, WireFormatName
from providers.fallbacks import Fallback
from providers.provider_conf import ProviderConf
from providers.wire.counting import COUNT_SUFFIXES
from providers.wire.detect import canonical_path, endpoint_suffix, model_of


@dataclass(frozen=True, slots=True)
class _Asked:
    """The facts of one request that a decision depends on."""

    facts: Facts
    client_format: WireFormatName | None
    body: Mapping[str, Any] | None
    why: str = ""
    """The beginning of the route's sentence: "by rule ‹x›", "by its sentinel key"."""
    rule: RuleConf | None = None

    @property
    def new_model(self) -> str:
        """The model that the rule asks for; "" leaves the client's."""
        return self.rule.dest_model if self.rule else ""

    @property
    def path(self) -> str:
        """The client's path without the marks of its base URL."""
        return canonical_path(self.facts.path, self.client_format)

    @property
    def raw_path(self) -> str:
        """The path template of the rule, which wins over the provider's."""
        return self.rule.dest_path if self.rule else ""


def decide(
    snapshot: Snapshot,
    facts: Facts,
    *,
    sentinel: ProviderConf | None,
    client_format: WireFormatName | None,
    method: str,
    body: Mapping[str, Any] | None,
    transparent: bool = False,
    family: WireFormatName | None = None,
) -> Decision:
    """Return the decision for one request.

    Args:
        snapshot: the configuration.
        facts: what rules look at; `facts.path` is the client's path with its query.
        sentinel: the provider that the client's key names.
        client_format: the wire format of the endpoint, None for side endpoints.
        method: for the sentence.
        body: the parsed JSON object, if any.
        transparent: the client meant the host it connected to; without a sentinel key the request
            goes there unchanged.
        family: the client's vendor, for side endpoints.
    """
    rule = first_match(snapshot.rules, facts)
    if transparent and sentinel is None:
        return Decision("passthrough", "forwarded to where it was going", rule)
    asked = _Asked(facts, client_format, body)
    if rule is not None:
        return _by_rule(
            snapshot, sentinel, replace(asked, rule=rule, why=f"by rule ‹{rule.label}›")
        )
    if sentinel is None:
        return no_destination(snapshot, facts, method)
    if transparent:
        text = f"by its sentinel key unchanged to {sentinel.name}, where it was going"
        return Decision("passthrough", text, None, sentinel, provider_format=client_format)
    if client_format is None:
        refused = foreign_side_endpoint(sentinel, facts.path, family)
        if refused is not None:
            return refused
    return _to_provider(sentinel, replace(asked, why="by its sentinel key"))


def decide_own(
    snapshot: Snapshot,
    facts: Facts,
    provider: ProviderConf,
    *,
    client_format: WireFormatName | None,
    body: Mapping[str, Any] | None,
) -> Decision:
    """Return the decision for a request with the client's own credential.

    It goes to the provider that its base path names. A rule may change it on the way there, and
    is refused where it leads elsewhere: the credential is for that provider's own host.

    Args:
        snapshot: the configuration.
        facts: what rules look at; the path is the one behind the base path.
        provider: the one that the base path names.
        client_format: the wire format of the endpoint, None for side endpoints.
        body: the parsed JSON object, if any.
    """
    rule = first_match(snapshot.rules, facts)
    if rule is None or rule.action == "passthrough":
        route = f"by its base path unchanged to {provider.name}"
        path = _own_path(facts.path, client_format)
        return _at(provider, "passthrough", route, path, rule, client_format)
    asked = _Asked(facts, client_format, body, f"by rule ‹{rule.label}›", rule)
    decision = _by_rule(snapshot, provider, asked)
    if decision.status_code:
        return decision
    if decision.provider is provider and provider.owns(decision.host, decision.port):
        return decision
    text = (
        f"Rule ‹{rule.label}› sends this away from {provider.host}, but the client's own credential"
        f" goes there alone. Use a sentinel key without /to/{provider.name}, or change the rule."
    )
    return Decision("refused", text, rule, provider, status_code=403)


def _own_path(path: str, client_format: WireFormatName | None) -> str:
    """Return the client's path, with the version once where its base URL lacks or repeats it.

    /messages → /v1/messages, /v1/v1/chat/completions → /v1/chat/completions
    """
    if client_format is None or not path.startswith(("/messages", "/v1/v1/")):
        return path
    return canonical_path(path, client_format)


def decide_fallback(
    snapshot: Snapshot,
    first: Decision,
    fallback: Fallback,
    facts: Facts,
    *,
    client_format: WireFormatName | None,
    body: Mapping[str, Any] | None,
) -> Decision:
    """Return the decision for a fallback of a request whose first destination was `first`.

    Address and path of the first destination's rule do not hold for another provider, nor does
    its wish to leave the body as it is. A fallback without a model is asked for the first one's.
    """
    origin = first.provider.name if first.provider else first.host
    provider = snapshot.providers.get(fallback.provider)
    if provider is None:
        text = f"The fallback “{fallback.provider}” is no provider, or is switched off."
        return Decision("refused", text, first.rule, status_code=502)
    asks_for = RuleConf(id=0, name="", action="", dest_model=fallback.model or first.model)
    asked = _Asked(facts, client_format, body, f"as a fallback of {origin}", asks_for)
    return replace(_to_provider(provider, asked), rule=first.rule)


def _by_rule(snapshot: Snapshot, sentinel: ProviderConf | None, asked: _Asked) -> Decision:
    rule = asked.rule
    assert rule is not None  # noqa: S101 - the caller found one
    if rule.action == "passthrough":
        return _pass_through(rule, sentinel, asked)
    if not rule.dest_provider:
        return _to_raw_host(rule, asked)
    provider = snapshot.providers.get(rule.dest_provider)
    if provider is None:
        text = (
            f"Rule ‹{rule.label}› sends this to the provider “{rule.dest_provider}”, which is"
            " switched off."
        )
        return Decision("refused", text, rule, status_code=502)
    return _to_provider(provider, asked)


def _pass_through(rule: RuleConf, sentinel: ProviderConf | None, asked: _Asked) -> Decision:
    """Forward unchanged to the provider that the key names."""
    if sentinel is None:
        text = (
            f"Rule ‹{rule.label}› forwards this unchanged, but nothing says where to: use a key"
            " such as sk-ccproxy-NAME."
        )
        return Decision("refused", text, rule, status_code=501)
    path = provider_path(sentinel, asked.path, asked.body, fmt=asked.client_format)
    route = f"{asked.why} unchanged to {sentinel.name}"
    return _at(sentinel, "passthrough", route, path, rule, asked.client_format)


def _to_raw_host(rule: RuleConf, asked: _Asked) -> Decision:
    """Redirect to a host that belongs to no provider, over https and without a credential."""
    path = asked.facts.path
    if rule.dest_path:
        no_provider = ProviderConf(name="", type="openai", host=rule.dest_host)
        path = provider_path(
            no_provider, path, asked.body, model=rule.dest_model, dest_path=rule.dest_path
        )
    return Decision(
        action="redirect",
        route=f"{asked.why} to {rule.dest_host}",
        rule=rule,
        host=rule.dest_host,
        path=path,
        model=rule.dest_model,
        provider_format=asked.client_format,
    )


def _to_provider(provider: ProviderConf, asked: _Asked) -> Decision:
    """Redirect to a provider that speaks the client's format, else translate.

    A redirect rule insists: the body then stays as it is in any case.
    """
    rule, client_format, path = asked.rule, asked.client_format, asked.path
    suffix = endpoint_suffix(path, client_format) if client_format is not None else ""
    if suffix and provider.type == BEDROCK_CLAUDE:
        return no_side_endpoint(provider, rule)
    native = client_format is None or speaks(provider, client_format, path)
    insists = rule is not None and rule.action == "redirect"
    if not native and not insists and client_format is not None:
        return _translated(provider, client_format, asked)
    target = provider_path(
        provider,
        path,
        asked.body,
        fmt=client_format if native else None,
        model=asked.new_model,
        dest_path=asked.raw_path,
    )
    route = f"{asked.why} to provider {provider.name}"
    decision = _at(provider, "redirect", route, target, rule, client_format, asked.new_model)
    return _at_rules_address(decision, provider, rule)


def speaks(provider: ProviderConf, client_format: WireFormatName, path: str) -> bool:
    """Return True when the provider takes the client's body as it is.

    Code Assist wraps Google's format into an envelope.
    """
    if provider.type == "gemini" and client_format == provider.wire_format:
        return "/v1internal:" in path
    return client_format in provider.native_formats


def _translated(provider: ProviderConf, client_format: WireFormatName, asked: _Asked) -> Decision:
    """Translate for a provider of another format; only main endpoints and counts can be."""
    target, path = provider.wire_format, asked.path
    suffix = endpoint_suffix(path, client_format)
    counting = suffix == COUNT_SUFFIXES.get(client_format) and target in COUNT_SUFFIXES
    if target is None or (suffix and not counting):
        return untranslatable(provider, client_format, suffix, asked.rule)
    translated = translated_path(
        provider,
        client_format,
        path,
        asked.body,
        model=asked.new_model or model_of(path, asked.body) or "",
        dest_path=asked.raw_path,
        counting=counting,
    )
    route = f"{asked.why} translated for provider {provider.name}"
    decision = _at(provider, "transform", route, translated, asked.rule, target, asked.new_model)
    decision = replace(decision, client_path=path, counting=counting)
    return _at_rules_address(decision, provider, asked.rule)


def _at(
    provider: ProviderConf,
    action: str,
    route: str,
    path: str,
    rule: RuleConf | None,
    provider_format: WireFormatName | None,
    model: str = "",
) -> Decision:
    """Return a decision for the provider's own address."""
    return Decision(
        action=action,
        route=route,
        rule=rule,
        provider=provider,
        scheme=provider.scheme,
        host=provider.host,
        port=provider.effective_port,
        path=path,
        model=model,
        provider_format=provider_format,
    )


def _at_rules_address(
    decision: Decision, provider: ProviderConf, rule: RuleConf | None
) -> Decision:
    """Apply the project, location and raw host of a rule to a decision for its provider.

    A raw host wins over the provider's. It is dialled over https, and gets no credential that is
    not its own.
    """
    if rule is None:
        return decision
    host = rule.dest_host
    if provider.type in VERTEX_TYPES:
        path, vertex_host = vertex_address(
            decision.path, provider.host, rule.dest_vertex_project, rule.dest_vertex_location
        )
        decision, host = replace(decision, path=path), host or vertex_host
    if not host or host == provider.host:
        return decision
    route = f"{decision.route} at {host}"
    return replace(decision, scheme="https", host=host, port=443, route=route)
