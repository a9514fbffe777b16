"""Provider types and wire formats. Plain data, without imports of ours."""

from __future__ import annotations

from typing import Literal

WireFormatName = Literal[
    "anthropic_messages", "openai_chat", "openai_responses", "google_generate", "perplexity_ask"
]

ANTHROPIC_MESSAGES: WireFormatName = "anthropic_messages"
OPENAI_CHAT: WireFormatName = "openai_chat"
OPENAI_RESPONSES: WireFormatName = "openai_responses"
GOOGLE_GENERATE: WireFormatName = "google_generate"
PERPLEXITY_ASK: WireFormatName = "perplexity_ask"

# Formats that clients speak.
WIRE_FORMATS: dict[WireFormatName, str] = {
    ANTHROPIC_MESSAGES: "Anthropic Messages",
    OPENAI_CHAT: "OpenAI Chat Completions",
    OPENAI_RESPONSES: "OpenAI Responses",
    GOOGLE_GENERATE: "Google generateContent",
}

PROVIDER_ONLY_FORMATS: dict[WireFormatName, str] = {PERPLEXITY_ASK: "Perplexity"}
"""Formats that no client speaks."""


def format_label(name: WireFormatName) -> str:
    """Return a wire format's name for people."""
    return WIRE_FORMATS.get(name) or PROVIDER_ONLY_FORMATS[name]


# Provider type -> the wire format its main endpoint speaks.
FORMAT_OF_TYPE: dict[str, WireFormatName | None] = {
    "anthropic": ANTHROPIC_MESSAGES,
    "deepseek": ANTHROPIC_MESSAGES,
    "zai": ANTHROPIC_MESSAGES,
    "openai": OPENAI_CHAT,
    "openai_responses": OPENAI_RESPONSES,
    "google": GOOGLE_GENERATE,
    "gemini": GOOGLE_GENERATE,
    "vertex_ai": GOOGLE_GENERATE,
    "vertex_ai_beta": GOOGLE_GENERATE,
    "vertex_anthropic": ANTHROPIC_MESSAGES,
    "bedrock_anthropic": ANTHROPIC_MESSAGES,
    "perplexity_pro": PERPLEXITY_ASK,
}

BEDROCK_CLAUDE = "bedrock_anthropic"

PROVIDER_TYPES: dict[str, str] = {
    "anthropic": "Anthropic Messages",
    "deepseek": "DeepSeek (Anthropic wire format)",
    "zai": "Z.AI (Anthropic wire format)",
    "openai": "OpenAI Chat Completions",
    "openai_responses": "OpenAI Responses",
    "google": "Google AI (generateContent)",
    "gemini": "Gemini Code Assist (v1internal)",
    "vertex_ai": "Vertex AI",
    "vertex_ai_beta": "Vertex AI (v1beta1)",
    "vertex_anthropic": "Claude on Vertex AI",
    "bedrock_anthropic": "Claude on Amazon Bedrock (signed)",
    "perplexity_pro": "Perplexity Pro",
}

# Hosts known to speak more than their provider type's own format on the same base path.
ALSO_NATIVE_AT_HOST: dict[str, tuple[WireFormatName, ...]] = {
    "api.openai.com": (OPENAI_CHAT, OPENAI_RESPONSES),
}

SERVER_TOOLS: dict[str, str] = {
    "drop": "Left out while other tools remain",
    "map": "Web search by the provider's own, others left out",
    "refuse": "The request is refused",
}
"""What happens to tools that run at the client's vendor, in a translated request."""

RULE_ACTIONS = ("passthrough", "redirect", "transform")
"""What a transform rule may do with a request it matches."""
