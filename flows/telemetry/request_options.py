"""Sampling options of a request as attributes of the GenAI conventions. Pure."""

from __future__ import annotations

from typing import Any, Final

from flows.reading.json_text import parse_json
from flows.telemetry import conventions as names
from flows.telemetry.otlp_span import Attributes

MAX_JSON_BYTES: Final = 256 * 1024
"""A longer request is not parsed: that would cost more than its options are worth."""
MAX_SEQUENCES: Final = 16
MAX_CHARS: Final = 200
# Attribute → the fields that hold it, in Anthropic's, OpenAI's and Google's spelling.
_INTEGERS: Final = {
    names.REQUEST_MAX_TOKENS: (
        "max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens",
    ),
    names.REQUEST_SEED: ("seed",),
}  # fmt: skip
_NUMBERS: Final = {
    names.REQUEST_TEMPERATURE: ("temperature",),
    names.REQUEST_TOP_P: ("top_p", "topP"),
    names.REQUEST_TOP_K: ("top_k", "topK"),
    names.REQUEST_FREQUENCY_PENALTY: ("frequency_penalty", "frequencyPenalty"),
    names.REQUEST_PRESENCE_PENALTY: ("presence_penalty", "presencePenalty"),
}
_SEQUENCES: Final = ("stop_sequences", "stop", "stopSequences")
_CHOICES: Final = ("n", "candidateCount")
_GOOGLE_GROUPS: Final = ("generationConfig", "generation_config")
_TAGS: Final = (b'"max', b'"temp', b'"top', b'"stop', b'"seed', b'_penalty"', b'Penalty"', b'"n"')
_MAX_INTEGER: Final = 2**63 - 1


def options_of(body: bytes) -> Attributes:
    """Return the options that a request's decoded body sets; none when it is no JSON object."""
    has_options = any(tag in body for tag in _TAGS) or b'"generation' in body
    if not has_options or len(body) > MAX_JSON_BYTES:
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
    for name, keys in _INTEGERS.items():
        number = _number(holder, keys)
        if number is not None and number == int(number):
            found[name] = int(number)
    for name, keys in _NUMBERS.items():
        number = _number(holder, keys)
        if number is not None:
            found[name] = float(number)
    choices = _number(holder, _CHOICES)
    if choices is not None and choices != 1 and choices == int(choices):
        found[names.REQUEST_CHOICE_COUNT] = int(choices)
    sequences = _texts(holder)
    if sequences:
        found[names.REQUEST_STOP_SEQUENCES] = sequences
    return found


def _number(holder: dict[str, Any], keys: tuple[str, ...]) -> int | float | None:
    for key in keys:
        value = holder.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            # Neither NaN nor a number beyond an int64 is an option of any provider.
            return value if abs(value) <= _MAX_INTEGER else None
    return None


def _texts(holder: dict[str, Any]) -> list[str]:
    for key in _SEQUENCES:
        value = holder.get(key)
        if isinstance(value, str):
            return [value[:MAX_CHARS]]
        if isinstance(value, list):
            texts = [text[:MAX_CHARS] for text in value if isinstance(text, str)]
            return texts[:MAX_SEQUENCES]
    return []
