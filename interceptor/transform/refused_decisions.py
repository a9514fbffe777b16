"""Refusals of routing: each names the reason and a way out in the message to the client."""

from __future__ import annotations

from interceptor.config.snapshot.schema import RuleConf, Snapshot
from interceptor.transform.decision import Decision
from interceptor.transform.match import Facts
from providers.base.names import OPENAI_CHAT, OPENAI_RESPONSES, WireFormatName, format_label
from providers.provider_conf import ProviderConf
from providers.wire.detect import side_vendor

MAX_KEYS_SHOWN = 5


def no_side_endpoint(provider: ProviderConf, rule: RuleConf | None) -> Decision:
    """Refuse a count of tokens, or another endpoint beside messages, at Amazon Bedrock."""
    text = (
        f"Provider “{provider.name}” runs models by InvokeModel, which counts no tokens and knows"
        " no other endpoint of Anthropic's API. Most clients go on without it."
    )
    return Decision("refused", text, rule, provider, status_code=501)


def foreign_side_endpoint(
    provider: ProviderConf, path: str, family: WireFormatName | None
) -> Decision | None:
    """Refuse another vendor's embeddings, images, audio, batches or files.

    Returns None where the endpoint may be this provider's own.
    """
    vendor = side_vendor(path)
    if vendor is None or provider.wire_format is None:
        return None
    spoken = {OPENAI_CHAT if name == OPENAI_RESPONSES else name for name in provider.native_formats}
    if vendor in spoken or family in spoken:
        return None
    text = (
        f"{path.partition('?')[0]} belongs to another vendor's API and cannot be translated for"
        f" provider “{provider.name}”, which speaks {format_label(provider.wire_format)}. Use a"
        " provider of the client's vendor."
    )
    return Decision("refused", text, None, provider, status_code=501)


def untranslatable(
    provider: ProviderConf, client_format: WireFormatName, suffix: str, rule: RuleConf | None
) -> Decision:
    """Refuse a format, or an endpoint of it, that has no place at the provider.

    Args:
        provider: the one that was meant.
        client_format: the client's format.
        suffix: names a side endpoint of that format; "" for the main one.
        rule: the rule that led there.
    """
    target = provider.wire_format
    spoken = format_label(target) if target else provider.type
    endpoint = f" ({suffix})" if suffix else ""
    text = (
        f"{format_label(client_format)}{endpoint} cannot be translated for provider"
        f" “{provider.name}”, which speaks {spoken}. Use a provider that speaks it, or list it in"
        " the provider's native formats."
    )
    return Decision("refused", text, rule, provider, status_code=501)


def no_destination(snapshot: Snapshot, facts: Facts, method: str) -> Decision:
    """Refuse a request that no rule and no key sends anywhere."""
    model = f" model={facts.model}" if facts.model else ""
    names = sorted(snapshot.providers)[:MAX_KEYS_SHOWN]
    keys = ", ".join(f"sk-ccproxy-{name}" for name in names)
    keys = keys or "sk-ccproxy-NAME once a provider is configured"
    bare = facts.path.partition("?")[0]
    text = (
        f"ccproxy does not know where to send {method} {bare}{model}: no rule matched, and the API"
        f" key is no sentinel key. Use one of these as API key: {keys}; or add a rule in the"
        " console."
    )
    return Decision("refused", text, status_code=501)
