"""A vendor that refuses what its documentation says it refuses.

The rules are data with their sources, in `vendor_rules.toml`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any


@cache
def rules() -> list[dict[str, Any]]:
    """Return all rules."""
    text = (Path(__file__).parent / "vendor_rules.toml").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = tomllib.loads(text)["rule"]
    return found


def refusals(wire_format: str, model: str, body: dict[str, Any]) -> list[str]:
    """Return the reasons why the vendor would refuse a request with a 400; none if it would not."""
    found: list[str] = []
    for rule in rules():
        if rule["format"] != wire_format or not re.fullmatch(rule["models"], model):
            continue
        if _is_excused(rule, body):
            continue
        for value in values_at(body, rule["field"]):
            if _breaks(rule, value):
                shown = str(value)[:80]
                found.append(f"{model}: {rule['field']} is {shown} ({rule['source']})")
    return found


def _is_excused(rule: dict[str, Any], body: dict[str, Any]) -> bool:
    wanted = rule.get("unless", {})
    return bool(wanted) and all(
        value in list(values_at(body, field)) for field, value in wanted.items()
    )


def _breaks(rule: dict[str, Any], value: Any) -> bool:
    if rule.get("absent"):
        return True
    if "only" in rule:
        return bool(value not in rule["only"])
    if "max" in rule and value > rule["max"]:
        return True
    if "min" in rule and value < rule["min"]:
        return True
    if len(str(value)) > rule.get("max_length", 10**9):
        return True
    if "max_items" in rule:
        return bool(len(value) > rule["max_items"])
    return "pattern" in rule and not re.fullmatch(rule["pattern"], value)


def values_at(value: Any, field: str) -> Iterator[Any]:
    """Yield the values at a dotted path: "a.b", "a[].b" (every item), "a[-1].b" (the last)."""
    step, _, rest = field.partition(".")
    name, _, index = step.partition("[")
    if not isinstance(value, dict) or value.get(name) is None:
        return
    below: list[Any] = [value[name]]
    if index and isinstance(value[name], list):
        below = value[name][-1:] if index == "-1]" else value[name]
    for item in below:
        if rest:
            yield from values_at(item, rest)
        else:
            yield item
