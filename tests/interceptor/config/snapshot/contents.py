"""Everything that a snapshot holds, as text: compiled patterns and functions compare by identity."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from interceptor.config.snapshot.schema import Snapshot
from interceptor.pipeline.plan import Plan

PATTERNS = ("match_host", "match_path", "match_model")


def contents(snapshot: Snapshot) -> str:
    """Return one text that is equal for equal snapshots."""
    found = {field.name: readable(getattr(snapshot, field.name)) for field in fields(snapshot)}
    return repr(found)


def readable(value: Any) -> Any:
    if isinstance(value, Plan):
        return [
            [(hook.label, hook.position, hook.params, hook.enabled, hook.builtin) for hook in level]
            for level in value.levels
        ]
    if isinstance(value, tuple):
        return [readable(part) for part in value]
    if isinstance(value, frozenset):
        return sorted(value)
    if hasattr(value, "items"):
        return {name: shown(provider) for name, provider in value.items()}
    return shown(value) if hasattr(value, "__dataclass_fields__") else value


def shown(value: Any) -> dict[str, Any]:
    """Return the fields of a rule, a token or a provider; credentials with their ciphertext."""
    found = {field.name: getattr(value, field.name) for field in fields(value)}
    for name in PATTERNS:
        pattern = found.get(name)
        if pattern is not None:
            found[name] = (pattern.pattern, pattern.options.case_sensitive)
    if found.get("auth") is not None:
        found["auth"] = found["auth"].model_dump()
    if "providers" in found:
        found["providers"] = sorted(found["providers"])
    return found
