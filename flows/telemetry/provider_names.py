"""Well-known names of providers and operations in the GenAI conventions. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from flows.telemetry import conventions as names
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
)

_OF_HOST: Final = {
    "api.anthropic.com": "anthropic",
    "api.openai.com": "openai",
    "chatgpt.com": "openai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "cloudcode-pa.googleapis.com": "gcp.gemini",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.x.ai": "x_ai",
    "api.deepseek.com": "deepseek",
    "api.cohere.com": "cohere",
    "api.perplexity.ai": "perplexity",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
}
_OF_DOMAIN: Final = (
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".openai.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
)
_BEDROCK: Final = "bedrock-runtime."
_OF_TYPE: Final = {
    "anthropic": "anthropic",
    "deepseek": "deepseek",
    "openai": "openai",
    "openai_responses": "openai",
    "google": "gcp.gemini",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "vertex_anthropic": "gcp.vertex_ai",
    "bedrock_anthropic": "aws.bedrock",
    "perplexity_pro": "perplexity",
}
_OF_FORMAT: Final = {
    ANTHROPIC_MESSAGES: "anthropic",
    OPENAI_CHAT: "openai",
    OPENAI_RESPONSES: "openai",
    GOOGLE_GENERATE: "gcp.gen_ai",
}


@lru_cache(maxsize=256)
def provider_name(host: str, provider_type: str, provider_format: str) -> str:
    """Return the name of a provider: by its host, else its type, else its format; "" if unknown.

    A type that has no well-known name is one itself: `zai`.
    """
    if found := _OF_HOST.get(host):
        return found
    for domain, name in _OF_DOMAIN:
        if host.endswith(domain):
            return name
    if host.startswith(_BEDROCK):
        return "aws.bedrock"
    return _OF_TYPE.get(provider_type) or provider_type or _OF_FORMAT.get(provider_format, "")  # type: ignore[call-overload]


def operation_of(path: str, client_format: str, *, is_websocket: bool) -> str:
    """Return the operation that a request asks for; "" when it asks no model.

    Args:
        path: of the client's request, with or without its query.
        client_format: its wire format; "" when unknown.
        is_websocket: the flow is a websocket, which has no format.
    """
    bare = path.partition("?")[0].rstrip("/")
    return _operation(bare[-80:], client_format, is_websocket)


@lru_cache(maxsize=1024)
def _operation(end: str, client_format: str, is_websocket: bool) -> str:
    if end.endswith(("/embeddings", ":embedContent", ":batchEmbedContents")):
        return names.EMBEDDINGS
    if client_format == GOOGLE_GENERATE:
        is_generation = end.endswith((":generateContent", ":streamGenerateContent"))
        return names.GENERATE_CONTENT if is_generation else ""
    if end.endswith("/completions") and not end.endswith("/chat/completions"):
        return names.TEXT_COMPLETION
    if end.endswith(("/messages", "/chat/completions", "/responses")):
        return names.CHAT
    return names.CHAT if is_websocket and end.endswith("/realtime") else ""
