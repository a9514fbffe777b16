"""Tool names that every vendor takes, and the way back to the client's own.

A name outside `[A-Za-z0-9_-]{1,64}` (or of a Responses namespace) is rewritten deterministically.
No state is needed between a request and its response: the client's own tools give the name back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from providers.wire.core.ir import JsonObject, Tool
from providers.wire.tools.client_run import runs_at_vendor
from providers.wire.tools.strict_arguments import is_rewritten

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_MAX_NAME_CHARS: Final = 64
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_ID_CHARS: Final = 64
_REFUSED: Final = re.compile(r"[^A-Za-z0-9_-]")
CUSTOM_SCHEMA: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "input": {"type": "string", "description": "The tool's whole input as plain text."}
    },
    "required": ["input"],
    "additionalProperties": False,
}
"""What a free-form tool takes where only functions exist."""


@lru_cache(maxsize=512)
def _is_plain(name: str) -> bool:
    return _PLAIN.fullmatch(name) is not None


def wire_name(name: str, namespace: str | None = None) -> str:
    """Return a tool's name for another vendor: "git.log" → "git_log_d38233d9"."""
    full = f"{namespace}__{name}" if namespace else name
    # A history calls the same few tools again and again. Long names are not remembered.
    if len(full) <= _MAX_NAME_CHARS and _is_plain(full):
        return full
    # The digest keeps names apart that become equal without their refused characters.
    digest = hashlib.sha256(full.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    clean = _REFUSED.sub("_", full)[:54] or "tool"
    # Google wants a letter or an underscore first:
    # https://ai.google.dev/api/caching#FunctionDeclaration
    if clean[0].isdigit() or clean[0] == "-":
        clean = "_" + clean[:53]
    return f"{clean}_{digest}"


def by_wire_name(tools: Iterable[Tool]) -> dict[str, Tool]:
    """Return the tools whose calls must be rewritten, by their name at the provider."""
    found: dict[str, Tool] = {}
    for tool in tools:
        # The vendor runs it, so no call of it reaches the client.
        if runs_at_vendor(tool):
            continue
        name = wire_name(tool.name, tool.namespace)
        is_renamed = name != tool.name or tool.namespace
        if is_renamed or tool.custom or tool.native or is_rewritten(tool):
            found[name] = tool
    return found


def safe_id(call_id: str, limit: int = MAX_ID_CHARS) -> str:
    """Return a tool call's id in characters and length that the vendor takes.

    Deterministic: equal ids give equal results.
    """
    if len(call_id) <= limit and _PLAIN_ID.fullmatch(call_id):
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    kept = min(40, limit - len(digest) - 1)
    return f"{_REFUSED.sub('_', call_id)[:kept]}_{digest}"
