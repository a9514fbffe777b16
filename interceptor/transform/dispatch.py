"""Decide where a request goes: the first matching rule, else the provider its sentinel key names,
else nowhere.

Pure: the decision is applied by the transform addon, and shown without any network by `explain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from interceptor.config.snapshot.schema import RuleConf, Snapshot
from interceptor.transform.match import Facts, first_match
from interceptor.transform.target import (
    VERTEX_TYPES,
    provider_path,
    translated_path,
    vertex_address,
)
from providers.base.names import OPENAI_CHAT, OPENAI_RESPONSES, WIRE_FORMATS, WireFormatName
from providers.base.value import value
from providers.provider_conf import ProviderConf
from providers.wire.counting import COUNT_SUFFIXES
from providers.wire.detect import endpoint_suffix, model_of, side_vendor


@value
class Decision:
    """What happens to a request and why, in one sentence.

    A refusal has a status and no destination.
    """

    action: str
    route: str
    rule: RuleConf | None = None
    provider: ProviderConf | None = None
    scheme: str = "https"
    host: str = ""
    port: int = 443
    path: str = ""
    model: str = ""
    """The model to ask for instead; "" leaves the client's."""
    provider_format: WireFormatName | None = None
    client_path: str = ""
    """The client's own path, for a translation: Google names the model and the kind of answer in
    it.
    """
    counting: bool = False
    """A translated request for a token count."""
    status_code: int = 0
    """Not 0: the proxy answers itself with this status, and `route` is the message."""


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
    """The decision for one request.

    Args:
        snapshot: the configuration.
        facts: what rules look at; `facts.path` is the client's path with its query.
        sentinel: the provider that the client's key names.
        client_format: the wire format of the endpoint called, None for side calls.
        method: for the sentence.
        body: the parsed JSON object, if any.
        family: the client's vendor, for endpoints that are no main one.
        transparent: the client meant the host it connected to; without a sentinel the request goes
        there unchanged.
    """
    rule = first_match(snapshot.rules, facts)
    if transparent and sentinel is None:
        return Decision("passthrough", "forwarded to where it was going", rule)
    if rule is None and transparent and sentinel is not None:
        text = f"by its sentinel key unchanged to {sentinel.name}, where it was going"
        return Decision("passthrough", text, None, sentinel, provider_format=client_format)
    if rule is not None:
        return _by_rule(snapshot, rule, facts, sentinel, client_format, body)
    if sentinel is not None:
        if client_format is None and (
            refused := _foreign_side_endpoint(sentinel, facts.path, family)
        ):
            return refused
        return _to_provider(sentinel, facts, client_format, body, why="by its sentinel key")
    return Decision("refused", _nowhere(snapshot, facts, method), status_code=501)


def _by_rule(
    snapshot: Snapshot,
    rule: RuleConf,
    facts: Facts,
    sentinel: ProviderConf | None,
    client_format: WireFormatName | None,
    body: Mapping[str, Any] | None,
) -> Decision:
    why = f"by rule ‹{rule.label}›"
    if rule.action == "passthrough":
        if sentinel is None:
            text = (
                f"Rule ‹{rule.label}› passes this on, but nothing says where to: use a key such as"
                " sk-ccproxy-NAME."
            )
            return Decision("refused", text, rule, status_code=501)
        path = provider_path(sentinel, facts.path, body, fmt=client_format)
        return _at(
            sentinel,
            "passthrough",
            f"{why} unchanged to {sentinel.name}",
            path,
            rule,
            client_format,
        )
    provider = snapshot.providers.get(rule.dest_provider) if rule.dest_provider else None
    if rule.dest_provider and provider is None:
        text = (
            f"Rule ‹{rule.label}› sends this to the provider “{rule.dest_provider}”, which is"
            " switched off."
        )
        return Decision("refused", text, rule, status_code=502)
    if provider is None:
        return Decision(
            "redirect", f"{why} to {rule.dest_host}", rule, None, host=rule.dest_host,
            model=rule.dest_model,
            path=_raw_path(rule, facts, body), provider_format=client_format,
        )  # fmt: skip
    return _to_provider(provider, facts, client_format, body, why=why, rule=rule)


def _raw_path(rule: RuleConf, facts: Facts, body: Mapping[str, Any] | None) -> str:
    if not rule.dest_path:
        return facts.path
    nowhere = ProviderConf(name="", type="openai", host=rule.dest_host)
    return provider_path(nowhere, facts.path, body, model=rule.dest_model, dest_path=rule.dest_path)


def _to_provider(
    provider: ProviderConf,
    facts: Facts,
    client_format: WireFormatName | None,
    body: Mapping[str, Any] | None,
    *,
    why: str,
    rule: RuleConf | None = None,
) -> Decision:
    """Same format: the body stays as it is.

    Another format: translation, unless a redirect rule insists.
    """
    native = client_format is None or speaks(provider, client_format, facts.path)
    if (
        not native
        and client_format is not None
        and not (rule is not None and rule.action == "redirect")
    ):
        return _translated(provider, facts, client_format, body, why=why, rule=rule)
    model = rule.dest_model if rule else ""
    path = provider_path(
        provider,
        facts.path,
        body,
        fmt=client_format if native else None,
        model=model,
        dest_path=rule.dest_path if rule else "",
    )
    decision = _at(
        provider, "redirect", f"{why} to provider {provider.name}", path, rule, client_format, model
    )
    return _with_host(decision, rule.dest_host) if rule and rule.dest_host else decision


def _foreign_side_endpoint(
    provider: ProviderConf, path: str, family: WireFormatName | None
) -> Decision | None:
    """A refusal for another vendor's embeddings, images, audio, batches or files; None when it may
    be this one's.
    """
    vendor = side_vendor(path)
    if vendor is None or provider.wire_format is None:
        return None
    spoken = {OPENAI_CHAT if name == OPENAI_RESPONSES else name for name in provider.native_formats}
    if vendor in spoken or family in spoken:
        return None
    text = (
        f"{path.partition('?')[0]} belongs to another vendor's API and cannot be translated for"
        f" provider “{provider.name}”, which speaks {WIRE_FORMATS[provider.wire_format]}. Use a"
        " provider of the client's vendor."
    )
    return Decision("refused", text, None, provider, status_code=501)


def speaks(provider: ProviderConf, client_format: WireFormatName, path: str) -> bool:
    """True when the provider takes the client's body as it is.

    Code Assist wraps Google's format into an envelope.
    """
    if provider.type == "gemini" and client_format == provider.wire_format:
        return "/v1internal:" in path
    return client_format in provider.native_formats


def _translated(
    provider: ProviderConf,
    facts: Facts,
    client_format: WireFormatName,
    body: Mapping[str, Any] | None,
    *,
    why: str,
    rule: RuleConf | None,
) -> Decision:
    """The provider speaks another format: only the main endpoint can be translated."""
    target = provider.wire_format
    suffix = endpoint_suffix(facts.path, client_format)
    counting = suffix == COUNT_SUFFIXES.get(client_format) and target in COUNT_SUFFIXES
    if target is None or (suffix and not counting):
        spoken = WIRE_FORMATS[target] if target else provider.type
        what = f"{WIRE_FORMATS[client_format]}{f' ({suffix})' if suffix else ''}"
        text = (
            f"{what} cannot be translated for provider “{provider.name}”, which speaks {spoken}. "
            "Use a provider that speaks it, or list it in the provider's native formats."
        )
        return Decision("refused", text, rule, provider, status_code=501)
    model = (rule.dest_model if rule else "") or model_of(facts.path, body) or ""
    path = translated_path(
        provider,
        client_format,
        facts.path,
        body,
        model=model,
        dest_path=rule.dest_path if rule else "",
        counting=counting,
    )
    decision = _at(
        provider, "transform", f"{why} translated for provider {provider.name}", path, rule, target
    )
    host = rule.dest_host if rule else ""
    if rule and provider.type in VERTEX_TYPES:
        path, vertex_host = vertex_address(
            path, provider.host, rule.dest_vertex_project, rule.dest_vertex_location
        )
        decision, host = replace(decision, path=path), host or vertex_host
    new_model = rule.dest_model if rule else ""
    decision = replace(decision, model=new_model, client_path=facts.path, counting=counting)
    return _with_host(decision, host) if host and host != provider.host else decision


def _at(
    provider: ProviderConf,
    action: str,
    route: str,
    path: str,
    rule: RuleConf | None,
    provider_format: WireFormatName | None,
    model: str = "",
) -> Decision:
    return Decision(
        action,
        route,
        rule,
        provider,
        provider.scheme,
        provider.host,
        provider.effective_port,
        path,
        model,
        provider_format,
    )


def _with_host(decision: Decision, host: str) -> Decision:
    """A raw host wins over the provider's; it is dialled over https, and gets no credential that is
    not its own.
    """
    return replace(
        decision, scheme="https", host=host, port=443, route=f"{decision.route} at {host}"
    )


def _nowhere(snapshot: Snapshot, facts: Facts, method: str) -> str:
    model = f" model={facts.model}" if facts.model else ""
    names = sorted(snapshot.providers)
    keys = (
        ", ".join(f"sk-ccproxy-{name}" for name in names[:5])
        or "sk-ccproxy-NAME once a provider is configured"
    )
    bare = facts.path.partition("?")[0]
    return (
        f"ccproxy does not know where to send {method} {bare}{model}: no rule matched, and the API"
        f" key is no sentinel key. Use one of these as API key: {keys}; or add a rule in the"
        " console."
    )
