"""Sampling options of a request as attributes of the GenAI conventions. Pure."""

from __future__ import annotations

from typing import Any, Final

from flows.reading.json_text import parse_json
from flows.telemetry import conventions as names
from flows.telemetry.otlp_span import Attributes

MAX_JSON_BYTES: Final = 256 * 1024
"""A longer request is not parsed: that would cost more than its options are worth."""
MAX_TEXTS: Final = 16
MAX_CHARS: Final = 200
# Fields in Anthropic's, OpenAI's and Google's spelling.
_INTEGERS: Final = {
    "max_tokens": names.REQUEST_MAX_TOKENS,
    "max_completion_tokens": names.REQUEST_MAX_TOKENS,
    "max_output_tokens": names.REQUEST_MAX_TOKENS,
    "maxOutputTokens": names.REQUEST_MAX_TOKENS,
    "seed": names.REQUEST_SEED,
    "n": names.REQUEST_CHOICE_COUNT,
    "candidateCount": names.REQUEST_CHOICE_COUNT,
}
_NUMBERS: Final = {
    "temperature": names.REQUEST_TEMPERATURE,
    "top_p": names.REQUEST_TOP_P,
    "topP": names.REQUEST_TOP_P,
    "top_k": names.REQUEST_TOP_K,
    "topK": names.REQUEST_TOP_K,
    "frequency_penalty": names.REQUEST_FREQUENCY_PENALTY,
    "frequencyPenalty": names.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": names.REQUEST_PRESENCE_PENALTY,
    "presencePenalty": names.REQUEST_PRESENCE_PENALTY,
}
_SEQUENCES: Final = ("stop_sequences", "stop", "stopSequences")
_GOOGLE_GROUPS: Final = ("generationConfig", "generation_config")
_MAX_INTEGER: Final = 2**63 - 1


def options_of(body: bytes) -> Attributes:
    """Return the options that a request's decoded body sets; none when it is no JSON object."""
    if not body or len(body) > MAX_JSON_BYTES:
        return {}
    parsed = parse_json(body).value
    if not isinstance(parsed, dict):
        return {}
    return _options(_holder(parsed))


def _holder(body: dict[str, Any]) -> dict[str, Any]:
    """Return the object with the options: Google has one of its own, Code Assist wraps that."""
    inner = body.get("request")
    for holder in (body, inner):
        if not isinstance(holder, dict):
            continue
        for key in _GOOGLE_GROUPS:
            group = holder.get(key)
            if isinstance(group, dict):
                return group
    return body


def _options(holder: dict[str, Any]) -> Attributes:
    found: Attributes = {}
    for key, value in holder.items():
        kind = type(value)
        # Neither NaN nor a number beyond an int64 is an option of any provider.
        if kind not in (int, float) or not abs(value) <= _MAX_INTEGER:
            continue
        if name := _NUMBERS.get(key):
            found[name] = float(value)
        elif (name := _INTEGERS.get(key)) and value == int(value):
            found[name] = int(value)
    if found.get(names.REQUEST_CHOICE_COUNT) == 1:
        # Only another number than the usual one is worth telling.
        del found[names.REQUEST_CHOICE_COUNT]
    if sequences := _texts(holder):
        found[names.REQUEST_STOP_SEQUENCES] = sequences
    return found


def _texts(holder: dict[str, Any]) -> list[str]:
    for key in _SEQUENCES:
        value = holder.get(key)
        if isinstance(value, str):
            return [value[:MAX_CHARS]]
        if isinstance(value, list):
            texts = [text[:MAX_CHARS] for text in value if isinstance(text, str)]
            return texts[:MAX_TEXTS]
    return []
