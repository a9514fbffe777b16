"""Rules that a request in the provider's own format breaks. The request is never changed.

The vendor will refuse it; the flow says which field and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.core.ir import JsonObject
from providers.wire.facts.model_facts import ModelFacts
from providers.wire.fitting.host_fields import refused_fields

_Found = Iterator[tuple[str, str]]
_Check = Callable[[JsonObject, ModelFacts], _Found]

# Neutral name of a parameter -> the format's own, where they differ.
_NAMES: Final[Mapping[WireFormatName, Mapping[str, str]]] = {
    ANTHROPIC_MESSAGES: {"stop": "stop_sequences"},
    OPENAI_CHAT: {},
    OPENAI_RESPONSES: {},
    GOOGLE_GENERATE: {
        "top_p": "topP",
        "top_k": "topK",
        "stop": "stopSequences",
        "frequency_penalty": "frequencyPenalty",
        "presence_penalty": "presencePenalty",
        "logprobs": "responseLogprobs",
        "top_logprobs": "logprobs",
    },
}
_DEFAULTS: Final[tuple[Any, ...]] = (None, 1, 0, [], False)
_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")


def broken_rules(
    body: Any, wire_format: WireFormatName, facts: ModelFacts, model: str
) -> list[tuple[str, str]]:
    """Return (path, sentence) for each rule that the body breaks.

    Nothing is said of a model that no row names, beyond what its host refuses: its family's rules
    are a guess.
    """
    if not isinstance(body, dict):
        return []
    note = "the request was not changed"
    told: list[tuple[str, str]] = []
    if wire_format == OPENAI_CHAT:
        for field in refused_fields(body, facts):
            told.append((field, f"The provider refuses `{field}`; {note}."))
    check = _CHECKS.get(wire_format)
    if not facts.known or check is None:
        return told
    found = [*_parameters(body, wire_format, facts), *check(body, facts)]
    return told + [(path, f"{model} {problem}; {note}.") for path, problem in found]


def _parameters(body: JsonObject, wire_format: WireFormatName, facts: ModelFacts) -> _Found:
    place = body.get("generationConfig") if wire_format == GOOGLE_GENERATE else body
    if not isinstance(place, dict):
        return
    prefix = "generationConfig." if wire_format == GOOGLE_GENERATE else ""
    names = _NAMES[wire_format]
    refused = [(name, "refuses") for name in facts.refuses]
    refused += [(name, "ignores") for name in facts.ignores]
    if _effort(body, wire_format) != "none" and facts.always_reasons:
        refused += [(name, "refuses") for name in facts.refuses_while_reasoning]
    for parameter, verb in refused:
        field = names.get(parameter, parameter)
        if place.get(field) not in _DEFAULTS:
            yield prefix + field, f"{verb} `{field}`"
    for field in _LIMITS:
        value, limit = place.get(field), facts.max_output_tokens
        if isinstance(value, int) and limit is not None and value > limit:
            yield prefix + field, f"writes {limit} tokens at most"


def _effort(body: JsonObject, wire_format: WireFormatName) -> Any:
    if wire_format == OPENAI_RESPONSES:
        return _object(body, "reasoning").get("effort")
    return body.get("reasoning_effort")


def _object(body: JsonObject, key: str) -> JsonObject:
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def _anthropic(body: JsonObject, facts: ModelFacts) -> _Found:
    kind = _object(body, "thinking").get("type")
    if kind and facts.thinking and kind not in facts.thinking:
        yield "thinking.type", f"refuses `thinking.type` “{kind}”"
    choice = _object(body, "tool_choice").get("type")
    if choice in ("any", "tool") and not facts.forced_tools:
        yield "tool_choice", "cannot be forced to call a tool"
    yield from _known_effort(_object(body, "output_config").get("effort"), facts, "output_config")
    messages = body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    is_prefill = isinstance(last, dict) and last.get("role") == "assistant"
    if is_prefill and not facts.prefill:
        yield "messages", "does not continue the assistant's last message"


def _known_effort(effort: Any, facts: ModelFacts, path: str) -> _Found:
    if isinstance(effort, str) and facts.efforts and effort not in facts.efforts:
        yield f"{path}.effort", f"knows no effort “{effort}”"


def _chat(body: JsonObject, facts: ModelFacts) -> _Found:
    effort = body.get("reasoning_effort")
    if isinstance(effort, str) and facts.efforts and effort not in facts.efforts:
        yield "reasoning_effort", f"knows no effort “{effort}”"
    if not body.get("tools") or facts.chat_tools == "yes":
        return
    if facts.chat_tools == "Responses alone":
        yield "tools", "takes function tools on OpenAI Responses alone"
    elif effort != "none" and (effort is not None or facts.always_reasons):
        yield "tools", "takes function tools on Chat with `reasoning_effort` “none” alone"


def _responses(body: JsonObject, facts: ModelFacts) -> _Found:
    yield from _known_effort(_object(body, "reasoning").get("effort"), facts, "reasoning")


def _google(body: JsonObject, facts: ModelFacts) -> _Found:
    thinking = _object(_object(body, "generationConfig"), "thinkingConfig")
    path = "generationConfig.thinkingConfig"
    level = str(thinking.get("thinkingLevel") or "").lower()
    if level and "level" not in facts.thinking:
        yield f"{path}.thinkingLevel", "takes no `thinkingLevel`"
    elif level and facts.efforts and level not in facts.efforts:
        yield f"{path}.thinkingLevel", f"knows no level “{level}”"


_CHECKS: Final[Mapping[WireFormatName, _Check]] = {
    ANTHROPIC_MESSAGES: _anthropic,
    OPENAI_CHAT: _chat,
    OPENAI_RESPONSES: _responses,
    GOOGLE_GENERATE: _google,
}
