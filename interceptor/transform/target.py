"""Path of a request at its provider.

A provider's path names its main endpoint. All other paths derive from it: the prefix before the
endpoint's own name belongs to every call. So sub-paths, side endpoints and queries survive a base
path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    BEDROCK_CLAUDE,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.provider_conf import VERTEX_DOMAIN, ProviderConf
from providers.wire.counting import COUNT_SUFFIXES
from providers.wire.detect import (
    action_of,
    client_format,
    endpoint_suffix,
    is_stream,
    model_of,
)

# The endpoint's own name below the versioned base ("/v1", "/api/paas/v4", ...).
_ENDPOINT: dict[WireFormatName, str] = {
    ANTHROPIC_MESSAGES: "/messages",
    OPENAI_CHAT: "/chat/completions",
    OPENAI_RESPONSES: "/responses",
}
_GOOGLE_TEMPLATE = "/v1beta/models/{model}:{action}"


def render(template: str, *, model: str, action: str) -> str:
    """Fill {model} and {action} in.

    Both are quoted, so that a client's model name cannot leave its path segment.
    """
    path = template.replace("{model}", quote(model, safe="-._~@:"))
    return path.replace("{action}", quote(action, safe=""))


def provider_path(
    provider: ProviderConf,
    path: str,
    body: Mapping[str, Any] | None,
    *,
    fmt: WireFormatName | None = None,
    model: str = "",
    dest_path: str = "",
) -> str:
    """Return the provider's path for a client's request, with its query.

    Args:
        provider: the destination.
        path: the client's path with query.
        body: the parsed body, for {model} and {action}.
        fmt: the client's wire format when the provider speaks it; None sends a main endpoint to the
            provider's own.
        model: the model to send, when it differs from the requested one.
        dest_path: a raw template that wins over the provider's.
    """
    bare, mark, query = path.partition("?")
    found = client_format(path)
    wanted = model or model_of(path, body) or ""
    action = action_of(path) or _action(provider, streams=is_stream(found, path, body))
    if dest_path:
        target = render(dest_path, model=wanted, action=action)
    elif found is None:
        target = _side_path(provider, bare)
    elif fmt is None or fmt == provider.wire_format:
        target = _main_path(provider, bare, found, wanted, action)
    else:
        target = base_path(provider) + (_ENDPOINT.get(fmt) or bare) + endpoint_suffix(path, fmt)
        if fmt == GOOGLE_GENERATE:
            target = bare if not model else render(_GOOGLE_TEMPLATE, model=wanted, action=action)
    # A question mark alone is an empty query, which stays like any other.
    if mark and not query and "?" not in target:
        return f"{target}?"
    return _join_query(target, query)


def _join_query(target: str, query: str) -> str:
    if not query:
        return target
    return f"{target}{'&' if '?' in target else '?'}{query}"


def _main_path(
    provider: ProviderConf, bare: str, fmt: WireFormatName, model: str, action: str
) -> str:
    if fmt == GOOGLE_GENERATE:
        if (
            provider.path == _GOOGLE_TEMPLATE
            and "/models/" in bare
            and f"/models/{quote(model, safe='-._~@:')}:" in bare
        ):
            return bare  # the client's own API version and spelling
        return render(provider.path, model=model, action=action)
    suffix = endpoint_suffix(bare, fmt)
    if provider.type == VERTEX_CLAUDE and suffix == COUNT_SUFFIXES[ANTHROPIC_MESSAGES]:
        return _vertex_count_path(provider)
    return render(provider.path, model=model, action=action) + suffix


def _action(provider: ProviderConf, *, streams: bool) -> str:
    """Return what a provider's path has for {action}."""
    if provider.type == VERTEX_CLAUDE:
        return "streamRawPredict" if streams else "rawPredict"
    if provider.type == BEDROCK_CLAUDE:
        return "invoke-with-response-stream" if streams else "invoke"
    return "streamGenerateContent" if streams else "generateContent"


def _vertex_count_path(provider: ProviderConf) -> str:
    """Return where Vertex AI counts a request's tokens for Claude; the body names the model.

    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens
    """
    return render(provider.path, model="count-tokens", action="rawPredict")


def base_path(provider: ProviderConf) -> str:
    """Return the part before the endpoint's own name: "/v1/messages" → "/v1"."""
    fmt = provider.wire_format
    name = _ENDPOINT.get(fmt) if fmt else None
    path = provider.path.rstrip("/")
    if name and path.endswith(name):
        return path.removesuffix(name)
    return "/v1"


def _side_path(provider: ProviderConf, bare: str) -> str:
    """Return the path of a side endpoint.

    Side endpoints of the API (/v1/files) live below the provider's base; other paths stay.
    """
    if provider.wire_format == GOOGLE_GENERATE or not (bare + "/").startswith("/v1/"):
        return bare
    return base_path(provider) + bare.removeprefix("/v1")


VERTEX_CLAUDE = "vertex_anthropic"
VERTEX_TYPES = ("vertex_ai", "vertex_ai_beta", VERTEX_CLAUDE)


def translated_path(
    provider: ProviderConf,
    client_format: WireFormatName,
    path: str,
    body: Mapping[str, Any] | None,
    *,
    model: str,
    dest_path: str = "",
    counting: bool = False,
) -> str:
    """Return the provider's endpoint for a translated request.

    The client's query is left out: it meant something to its own vendor.
    """
    stream = is_stream(client_format, path, body) and not counting
    google = provider.wire_format == GOOGLE_GENERATE
    if counting and provider.type == VERTEX_CLAUDE and not dest_path:
        return _vertex_count_path(provider)
    action = "countTokens" if counting else _action(provider, streams=stream)
    target = render(dest_path or provider.path, model=model, action=action)
    if counting and not google and provider.wire_format:
        target += COUNT_SUFFIXES[provider.wire_format]
    return _join_query(target, "alt=sse") if google and stream else target


def vertex_address(path: str, host: str, project: str, location: str) -> tuple[str, str]:
    """Return Vertex AI's path and host for a rule's project and location.

    The path has them as segments after /projects/ and /locations/. Regional hosts are
    LOCATION-aiplatform.googleapis.com; the global one has no prefix (Vertex AI documentation,
    "Locations").
    """
    segments = path.split("/")
    for name, value in (("projects", project), ("locations", location)):
        if value and name in segments[:-1]:
            segments[segments.index(name) + 1] = quote(value, safe="")
    if location and host.lower().endswith(VERTEX_DOMAIN):
        host = VERTEX_DOMAIN if location == "global" else f"{location}-{VERTEX_DOMAIN}"
    return "/".join(segments), host
