"""Signatures in a history for Google: other vendors' out, the stand-in where one must be.

Gemini 3 refuses a step of the current turn whose first call has no signature, and documents a
stand-in for calls it did not make: https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

import re
from typing import Any, Final

from providers.wire.core.ir import JsonObject
from providers.wire.marks.marked_ids import plain_ids
from providers.wire.rules.replay import PACKED, SKIP_SIGNATURE_CHECK

_NEEDS_SIGNATURES: Final = re.compile(r"gemini-(?:[3-9]|\d\d)")
_CALLS: Final = ("functionCall", "function_call")
_RESULTS: Final = ("functionResponse", "function_response")
_SIGNATURES: Final = ("thoughtSignature", "thought_signature")


def signed_contents(body: JsonObject, model: str) -> JsonObject:
    """Return a request whose signatures are all Google's; the same object if they are already."""
    contents = body.get("contents")
    if not isinstance(contents, list):
        return body
    current = _current_turn(contents) if _NEEDS_SIGNATURES.search(model) else len(contents)
    cleaned: list[Any] = []
    for index, content in enumerate(contents):
        cleaned.append(_content(content, must_sign=index >= current))
    is_same = all(new is old for new, old in zip(cleaned, contents, strict=True))
    return body if is_same else {**body, "contents": cleaned}


def _current_turn(contents: list[Any]) -> int:
    """Return the index behind the user's last own message: there the current turn begins."""
    for index in range(len(contents) - 1, -1, -1):
        if _role(contents[index]) == "model":
            continue
        parts = _parts(contents[index])
        if not any(_one_of(part, _RESULTS) for part in parts):
            return index + 1
    return 0


def _role(content: Any) -> str:
    return str(content.get("role")) if isinstance(content, dict) else ""


def _parts(content: Any) -> list[Any]:
    parts = content.get("parts") if isinstance(content, dict) else None
    return parts if isinstance(parts, list) else []


def _one_of(part: Any, names: tuple[str, ...]) -> str | None:
    """Return the name under which a part has a field, in either spelling."""
    return next((name for name in names if isinstance(part, dict) and name in part), None)


def _content(content: Any, *, must_sign: bool) -> Any:
    parts = _parts(content)
    cleaned = [_part(part) for part in parts]
    if must_sign and _role(content) == "model":
        _sign_first_call(cleaned)
    is_same = all(new is old for new, old in zip(cleaned, parts, strict=True))
    return content if is_same else {**content, "parts": cleaned}


def _part(part: Any) -> Any:
    """Return a part without another vendor's reasoning in its signature, and with plain ids."""
    field = _one_of(part, _SIGNATURES)
    if field is not None and str(part[field]).startswith(PACKED):
        part = {key: value for key, value in part.items() if key != field}
    inner = _one_of(part, (*_CALLS, *_RESULTS))
    if inner is None:
        return part
    plain = plain_ids(part[inner])
    return part if plain is part[inner] else {**part, inner: plain}


def _sign_first_call(parts: list[Any]) -> None:
    """Give the first call of a step the stand-in, in place, unless the call is signed."""
    # Of parallel calls only the first has a signature.
    for index, part in enumerate(parts):
        if _one_of(part, _CALLS) is None:
            continue
        if _one_of(part, _SIGNATURES) is None:
            parts[index] = {**part, "thoughtSignature": SKIP_SIGNATURE_CHECK}
        return
