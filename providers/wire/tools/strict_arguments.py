"""Strict tools with optional properties: their schemas for OpenAI, and their calls' arguments back.

OpenAI's strict schemas close every object and require all properties. An optional property is
required there, and may be null; the client never sees such a null.
https://platform.openai.com/docs/guides/structured-outputs#all-fields-must-be-required
"""

from __future__ import annotations

from typing import Any, Final

from providers.wire.core.ir import JsonObject, Tool
from providers.wire.core.jsonio import dumps_text, loads

REFUSED: Final = frozenset(
    [
        "allOf",
        "not",
        "dependentRequired",
        "dependentSchemas",
        "if",
        "then",
        "else",
        "patternProperties",
        "unevaluatedProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "unevaluatedItems",
        "contains",
        "minContains",
        "maxContains",
        "uniqueItems",
        "oneOf",
        "prefixItems",
    ]
)
"""Keywords that no strict schema may have."""

MAX_DEPTH: Final = 10
"""Levels of objects that a strict schema may have."""

_DEFINITIONS: Final = ("$defs", "definitions")


class _NotStrict(Exception):
    """OpenAI's dialect has no such schema."""


def closed_schema(schema: JsonObject | None) -> JsonObject | None:
    """Return a schema in OpenAI's strict dialect; None if it cannot be brought there.

    {"type": "object", "properties": {"a": {"type": "string"}}} → {…, "properties": {"a": {"type":
    ["string", "null"]}}, "required": ["a"], "additionalProperties": false}
    """
    if schema is None or schema.get("type") != "object":
        return None
    try:
        return _closed(schema, MAX_DEPTH)
    except _NotStrict:
        return None


def _closed(sub: Any, depth: int) -> JsonObject:
    if not isinstance(sub, dict) or sub.keys() & REFUSED or depth < 0:
        raise _NotStrict
    made = dict(sub)
    for name in _DEFINITIONS:
        if isinstance(sub.get(name), dict):
            made[name] = {key: _closed(inner, depth) for key, inner in sub[name].items()}
    if isinstance(sub.get("anyOf"), list):
        made["anyOf"] = [_closed(inner, depth) for inner in sub["anyOf"]]
    if "items" in sub:
        made["items"] = _closed(sub["items"], depth)
    if _is_object(sub):
        made |= _closed_object(sub, depth)
    return made


def _closed_object(sub: JsonObject, depth: int) -> JsonObject:
    # An object that takes further properties says something that a closed one cannot.
    if sub.get("additionalProperties") not in (None, False):
        raise _NotStrict
    required = sub.get("required") or []
    properties: JsonObject = {}
    for name, inner in (sub.get("properties") or {}).items():
        made = _closed(inner, depth - 1)
        properties[name] = made if name in required else _or_null(made)
    return {
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _is_object(sub: JsonObject) -> bool:
    kind = sub.get("type")
    is_object = kind == "object" or (isinstance(kind, list) and "object" in kind)
    return is_object or "properties" in sub


def _or_null(sub: JsonObject) -> JsonObject:
    """Return a schema that takes null as well."""
    if _takes_null(sub, sub):
        return sub
    kind = sub.get("type")
    is_plain = "enum" not in sub and "const" not in sub
    if is_plain and isinstance(kind, str | list):
        kinds = [kind] if isinstance(kind, str) else kind
        return {**sub, "type": [*kinds, "null"]}
    if isinstance(sub.get("anyOf"), list):
        return {**sub, "anyOf": [*sub["anyOf"], {"type": "null"}]}
    return {"anyOf": [sub, {"type": "null"}]}


def _takes_null(sub: JsonObject, root: JsonObject) -> bool:
    sub = _resolved(sub, root)
    kind = sub.get("type")
    if kind == "null" or (isinstance(kind, list) and "null" in kind) or sub.get("nullable"):
        return True
    if None in (sub.get("enum") or ()):
        return True
    choices = sub.get("anyOf") or ()
    return any(isinstance(one, dict) and _takes_null(one, {}) for one in choices)


def _resolved(sub: JsonObject, root: JsonObject) -> JsonObject:
    """Return the definition that a schema refers to, or the schema itself."""
    address = sub.get("$ref")
    if not isinstance(address, str):
        return sub
    for name in _DEFINITIONS:
        found = (root.get(name) or {}).get(address.removeprefix(f"#/{name}/"))
        if isinstance(found, dict):
            return found
    return sub


def is_rewritten(tool: Tool) -> bool:
    """Return whether OpenAI gets another schema of a strict tool than the client wrote."""
    if not tool.strict or tool.schema is None:
        return False
    closed = closed_schema(tool.schema)
    return closed is not None and closed != tool.schema


def without_added_nulls(arguments: Any, schema: JsonObject) -> Any:
    """Return a call's arguments without the nulls of optional properties that take none.

    '{"a": "x", "b": null}' → '{"a":"x"}', if `b` is an optional string. Text that is no JSON stays.
    """
    if not isinstance(arguments, str):
        return _cleaned(arguments, schema, schema)
    try:
        found = loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    cleaned = _cleaned(found, schema, schema)
    return arguments if cleaned == found else dumps_text(cleaned)


def _cleaned(value: Any, schema: JsonObject, root: JsonObject) -> Any:
    schema = _meant(value, _resolved(schema, root), root)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_cleaned(item, schema["items"], root) for item in value]
    properties = schema.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, dict):
        return value
    required = schema.get("required") or []
    kept: JsonObject = {}
    for name, inner in value.items():
        sub = properties.get(name)
        if not isinstance(sub, dict):
            kept[name] = inner
        elif inner is not None or name in required or _takes_null(sub, root):
            kept[name] = _cleaned(inner, sub, root)
    return kept


def _meant(value: Any, schema: JsonObject, root: JsonObject) -> JsonObject:
    """Return the alternative of an `anyOf` that a value follows, or the schema itself."""
    choices = schema.get("anyOf")
    if not isinstance(choices, list):
        return schema
    for choice in choices:
        found = _resolved(choice, root) if isinstance(choice, dict) else {}
        if isinstance(value, list) and "items" in found:
            return found
        if isinstance(value, dict) and value.keys() <= (found.get("properties") or {}).keys():
            return found
    return schema
