"""Token counting between the formats that have it.

Sources: Anthropic "Count tokens in a Message", Gemini API `models.countTokens` (Vertex takes the
contents at the top level, Code Assist in `request`), OpenAI "Get input token counts".
"""

from __future__ import annotations

from typing import Any, Final

from providers.base.errors import BadUpstreamAnswer, UnsupportedByTarget
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_RESPONSES,
    WireFormatName,
    format_label,
)
from providers.wire.core.base import TargetInfo
from providers.wire.core.ir import JsonObject, Loss
from providers.wire.core.shape import count
from providers.wire.translate import translate_request

COUNT_SUFFIXES: Final[dict[WireFormatName, str]] = {
    ANTHROPIC_MESSAGES: "/count_tokens",
    GOOGLE_GENERATE: ":countTokens",
    OPENAI_RESPONSES: "/input_tokens",
}
"""What follows the main endpoint (`detect.endpoint_suffix`) when a client asks for a count.

Chat has none.
"""

_COUNTED: Final[dict[WireFormatName, tuple[str, ...]]] = {
    ANTHROPIC_MESSAGES: (
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
    ),
    GOOGLE_GENERATE: ("contents", "systemInstruction", "tools", "toolConfig"),
    OPENAI_RESPONSES: (
        "model",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "text",
    ),
}


def translate_count_request(
    body: Any,
    src: WireFormatName,
    dst: WireFormatName,
    *,
    target: TargetInfo | None = None,
    model: str | None = None,
) -> tuple[JsonObject, list[Loss]]:
    """Return the body for the target's counting endpoint.

    Raises like `translate_request`, and if the target has no such endpoint.
    """
    if dst not in COUNT_SUFFIXES:
        raise UnsupportedByTarget(f"{format_label(dst)} has no endpoint that counts tokens.")
    target = target or TargetInfo()
    if src == GOOGLE_GENERATE and isinstance(body, dict):
        inner = body.get("generateContentRequest") or body.get("generate_content_request") or body
        body = inner
    plain = TargetInfo(
        model=target.model, stream=False, host=target.host, server_tools=target.server_tools
    )
    translated, losses = translate_request(body, src, dst, target=plain, model=model)
    counted = {key: translated[key] for key in _COUNTED[dst] if key in translated}
    if dst != GOOGLE_GENERATE:
        return counted, losses
    name = (
        f"models/{target.model or model or (body.get('model') if isinstance(body, dict) else '')}"
    )
    if target.provider_type == "gemini":
        return {"request": {"model": name, "contents": counted["contents"]}}, losses
    if target.provider_type.startswith("vertex"):
        return counted, losses
    return {"generateContentRequest": {"model": name, **counted}}, losses


def translate_count_response(body: Any, src: WireFormatName, dst: WireFormatName) -> JsonObject:
    """Return the count in the client's format.

    Raises `BadUpstreamAnswer` if there is none.
    """
    if not isinstance(body, dict):
        raise BadUpstreamAnswer("The provider's count is no JSON object.")
    tokens = count(body.get("totalTokens") if src == GOOGLE_GENERATE else body.get("input_tokens"))
    if tokens is None:
        raise BadUpstreamAnswer("The provider's response holds no token count.")
    if dst == GOOGLE_GENERATE:
        return {"totalTokens": tokens}
    if dst == OPENAI_RESPONSES:
        return {"object": "response.input_tokens", "input_tokens": tokens}
    return {"input_tokens": tokens}
