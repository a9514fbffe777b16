"""THE table of profiles that ship with the product: which fields belong to the client.

They are lists of names. No shape, no text of a vendor's and no constant ships with them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from shapes.replay.sensitive_headers import CONNECTION_HEADERS, CREDENTIAL_HEADERS, IDENTITY_HEADERS


@dataclass(frozen=True, slots=True)
class ProfileValues:
    """A profile's fields, as they are stored."""

    path_pattern: str = ""
    content_fields: tuple[str, ...] = ()
    merge_strategies: dict[str, str] = field(default_factory=dict)
    shape_hooks: tuple[str | dict[str, Any], ...] = ()
    preserve_headers: tuple[str, ...] = (*CREDENTIAL_HEADERS, "host", "user-agent")
    strip_headers: tuple[str, ...] = (*CREDENTIAL_HEADERS, *CONNECTION_HEADERS)


GENERIC: Final = ProfileValues()
"""Of a provider type without a shipped profile: it names no content, so it must be edited first."""

SHIPPED: Final[dict[str, ProfileValues]] = {
    "anthropic": ProfileValues(
        path_pattern=r"^/v1/messages",
        content_fields=(
            "model",
            "messages",
            "tools",
            "tool_choice",
            "system",
            "thinking",
            "output_config",
            "output_format",
            "context_management",
            "mcp_servers",
            "container",
            "service_tier",
            "inference_geo",
            "speed",
            "stream",
            "max_tokens",
            "temperature",
            "top_p",
            "top_k",
            "stop_sequences",
            "cache_control",
            "diagnostics",
            "metadata",
        ),
        merge_strategies={"system": "prepend_shape:2"},
        shape_hooks=(
            "regenerate",
            {"hook": "caching.strip", "params": {"paths": ["system.*.cache_control"]}},
            {"hook": "caching.insert", "params": {"path": "system.-1.cache_control"}},
        ),
    ),
    "gemini": ProfileValues(
        path_pattern=r"^/v1internal:",
        content_fields=("model", "project", "user_prompt_id"),
        shape_hooks=("regenerate", "gemini"),
    ),
    "openai_responses": ProfileValues(
        path_pattern=r"^/backend-api/codex/responses",
        # Not `instructions`: the backend wants those of its own client.
        content_fields=(
            "model",
            "input",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "reasoning",
            "text",
            "stream",
            "stream_options",
            "max_output_tokens",
            "max_tool_calls",
            "temperature",
            "top_p",
            "top_logprobs",
            "metadata",
            "client_metadata",
            "include",
            "conversation",
            "previous_response_id",
            "prompt",
            "prompt_cache_key",
            "prompt_cache_retention",
            "store",
            "truncation",
            "service_tier",
            "background",
            "safety_identifier",
            "user",
        ),
        shape_hooks=("codex",),
        preserve_headers=(
            "authorization",
            "chatgpt-account-id",
            "x-openai-fedramp",
            "host",
            "user-agent",
        ),
        strip_headers=(*CREDENTIAL_HEADERS, *CONNECTION_HEADERS, *IDENTITY_HEADERS),
    ),
}


def shipped_profile(provider_type: str) -> ProfileValues:
    """Return the values that a new profile of a provider type begins with."""
    return SHIPPED.get(provider_type, GENERIC)
