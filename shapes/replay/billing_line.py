"""Billing line of a system prompt: its parts, and the digests that a reference client puts in.

The line is a text block that begins so:

    x-anthropic-billing-header: cc_version=1.2.3.a1b; cc_entrypoint=sdk; cch=00000;

`cc_version` ends with three hex digits about the first user text. `cch` holds five hex digits of a
digest of the complete body, taken while they are zeros. The constants of both are the user's own.
Structure: shaping.md 6.1 of the product's notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

PREFIX: Final = "x-anthropic-billing-header:"
ZEROS: Final = "00000"
_CCH_DIGITS: Final = 5
_CCH_MASK: Final = (1 << 20) - 1

_VERSION: Final = re.compile(r"(\bcc_version=[0-9]+(?:\.[0-9]+)*)\.([0-9a-fA-F]{3})(?=\s*(?:;|$))")
_CCH: Final = re.compile(r"(\bcch=)([0-9a-fA-F]+)(?=\s*(?:;|$))")


@dataclass(frozen=True, slots=True)
class BillingConstants:
    """Constants of the digests, as the user supplied them."""

    salt: bytes
    seed: int
    positions: tuple[int, ...]

    def __repr__(self) -> str:
        return "BillingConstants(…)"


def find_line(body: Mapping[str, Any]) -> int | None:
    """Return the index of the system block that is a complete billing line, or None."""
    system = body.get("system")
    if not isinstance(system, list) or not isinstance(body.get("messages"), list):
        return None
    for index, block in enumerate(system):
        text = block.get("text") if isinstance(block, dict) else None
        if isinstance(text, str) and text.startswith(PREFIX):
            complete = _VERSION.search(text) and _CCH.search(text) and "cc_entrypoint=" in text
            return index if complete else None
    return None


def unsigned(text: str, first_text: str, constants: BillingConstants) -> str:
    """Return a billing line with the version's digits about `first_text` and `cch` of zeros."""
    found = _VERSION.search(text)
    if found is not None:
        version = found.group(1).partition("=")[2]
        text = _with_digits(text, found, version_digits(version, first_text, constants))
    return signed(text, ZEROS)


def signed(text: str, digest: str) -> str:
    """Return a billing line whose zeros of `cch` are replaced by a digest."""
    found = _CCH.search(text)
    return text if found is None else _with_digits(text, found, digest)


def _with_digits(text: str, found: re.Match[str], digits: str) -> str:
    """Return a text with the second group of a match replaced; `sub` would compile a template."""
    return f"{text[: found.start(2)]}{digits}{text[found.end(2) :]}"


def version_digits(version: str, first_text: str, constants: BillingConstants) -> str:
    """Return the three hex digits about the first user text: "1.2.3", "Hello" → "4f0"."""
    sample = [first_text[at] if at < len(first_text) else "0" for at in constants.positions]
    text = "".join(sample) + version
    # JavaScript clients cut emoji in half; UTF-8 has no bytes for a half.
    data = constants.salt + text.encode("utf-8", "surrogatepass")
    return sha256(data).hexdigest()[:3]


def body_digest(parts: Iterable[bytes | memoryview], seed: int) -> str:
    """Return the five hex digits of a body whose `cch` is zeros, given in parts."""
    # Most proxies never use it.
    import xxhash

    state = xxhash.xxh64(seed=seed)
    for part in parts:
        state.update(part)
    return f"{state.intdigest() & _CCH_MASK:0{_CCH_DIGITS}x}"


def first_user_text(body: Mapping[str, Any]) -> str:
    """Return the first text of the first user message, "" where that has none.

    An empty first text block counts: it gives the empty string.
    """
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") == "user":
            return _first_text(message.get("content"))
    return ""


def _first_text(content: object) -> str:
    if isinstance(content, str):
        return content
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and isinstance(block.get("text"), str):
            return str(block["text"])
    return ""
