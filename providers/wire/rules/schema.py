"""JSON Schemas, changed only if a vendor refuses a keyword.

Unchanged schemas stay the same objects.

Sources: Anthropic "Structured outputs" (limitations), Gemini API
`FunctionDeclaration.parametersJsonSchema`, OpenAI "Function calling" (the top level is an object).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from providers.wire.core.ir import JsonObject, Losses

_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE: Final = (
    "items",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
)
_NESTED: Final = frozenset((*_MAPS, *_LISTS, *_SINGLE))
_EMPTY: Final[JsonObject] = {"type": "object", "properties": {}}
_MAX_DEPTH: Final = 100

_GOOGLE_KEYWORDS: Final = frozenset(
    [
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
        "properties",
        "additionalProperties",
        "required",
        "propertyOrdering",
        "definitions",
        "nullable",
        "default",
        "minLength",
        "maxLength",
        "pattern",
        "minProperties",
        "maxProperties",
        "example",
    ]
)
_ANTHROPIC_OUTPUT_REFUSES: Final = frozenset(
    [
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
        "contains",
        "minContains",
        "maxContains",
    ]
)

# https://ai.google.dev/api/caching#Schema: these are "string (int64 format)".
_INT64: Final = (
    *("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
)
_WHOLE: Final = re.compile(r"\d{1,18}")
_VALUES: Final = frozenset({"default", "example"})
_GOOGLE_ONLY: Final = ("nullable", "propertyOrdering", "example")

Edit = Callable[[JsonObject, str], JsonObject]


def walk(schema: Any, edit: Edit, path: str = "", depth: int = 0) -> Any:
    """Apply `edit` to every sub-schema, innermost first."""
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return schema
    changed: JsonObject = {}
    for key, value in schema.items():
        # Most keywords, such as `type` and `description`, hold no schema.
        if key not in _NESTED:
            continue
        new = _walk_keyword(key, value, edit, path, depth + 1)
        # Nearly all schemas need no change; they are not copied.
        if new is not value:
            changed[key] = new
    if changed:
        schema = {**schema, **changed}
    return edit(schema, path)


def _walk_keyword(key: str, value: Any, edit: Edit, path: str, depth: int) -> Any:
    """Walk the sub-schemas below one keyword. Return the value itself if none changed."""
    if key in _MAPS and isinstance(value, dict):
        # {"properties": {"name": schema, …}}
        by_name = {name: walk(sub, edit, f"{path}.{name}", depth) for name, sub in value.items()}
        is_same = all(by_name[name] is value[name] for name in value)
        return value if is_same else by_name
    # `items` is a schema, or a list of them in older drafts.
    if (key in _LISTS or key == "items") and isinstance(value, list):
        items = [walk(sub, edit, f"{path}.{key}", depth) for sub in value]
        is_same = all(new is old for new, old in zip(items, value, strict=True))
        return value if is_same else items
    if key in _SINGLE:
        return walk(value, edit, f"{path}.{key}", depth)
    return value


def function_schema(schema: JsonObject | None, losses: Losses, path: str) -> JsonObject:
    """Return a function's parameters as every vendor takes them.

    They are an object at the top level, without alternatives beside it.
    """
    if not schema:
        return dict(_EMPTY)
    refused = [key for key in ("anyOf", "oneOf", "allOf", "enum", "not") if key in schema]
    if not refused and schema.get("type") == "object" and "$schema" not in schema:
        return schema
    result = {
        key: value for key, value in schema.items() if key not in refused and key != "$schema"
    }
    if refused:
        losses.add(path, f"A function's parameters take no {', '.join(refused)} at the top level.")
    return {**result, "type": "object", "properties": result.get("properties") or {}}


def for_google(schema: JsonObject, losses: Losses, path: str) -> JsonObject:
    """Remove the keywords Google refuses; `const` becomes an `enum` of one."""

    def edit(sub: JsonObject, _: str) -> JsonObject:
        if sub.keys() <= _GOOGLE_KEYWORDS:
            return sub
        kept = {key: value for key, value in sub.items() if key in _GOOGLE_KEYWORDS}
        for key in sub.keys() - kept.keys() - {"$schema", "const"}:
            losses.add(f"{path}.{key}", "Google's schemas do not know this keyword.")
        if "const" in sub and "enum" not in kept:
            kept["enum"] = [sub["const"]]
        return kept

    result: JsonObject = walk(schema, edit, path)
    return result


def for_anthropic_output(schema: JsonObject, losses: Losses, path: str) -> JsonObject:
    """Convert a schema for Anthropic's structured output.

    Objects are closed; numeric and length limits are removed.
    """

    def edit(sub: JsonObject, _: str) -> JsonObject:
        refused = sub.keys() & _ANTHROPIC_OUTPUT_REFUSES
        if "additionalProperties" in sub and sub["additionalProperties"] is not False:
            refused = refused | {"additionalProperties"}
        for key in sorted(refused):
            losses.add(f"{path}.{key}", "Anthropic's structured output does not know this keyword.")
        kept = {key: value for key, value in sub.items() if key not in refused and key != "$schema"}
        if sub.get("type") == "object" or "properties" in sub:
            kept["additionalProperties"] = False
        return kept

    result: JsonObject = walk(schema, edit, path)
    return result


def _with_numbers(schema: JsonObject) -> JsonObject:
    """Return a schema with its limits as numbers: JSON has int64 as text, {"minItems": "1"}."""
    texts = [key for key in _INT64 if isinstance(schema.get(key), str)]
    found = {key: int(schema[key]) for key in texts if _WHOLE.fullmatch(schema[key])}
    return {**schema, **found} if found else schema


def from_google(schema: JsonObject) -> JsonObject:
    """Convert Google's schema dialect to JSON Schema.

    It has `type: "STRING"`, `nullable` and `propertyOrdering`. A keyword that is null is not set,
    but for `default` and `example`, which are values.
    """

    def edit(sub: JsonObject, _: str) -> JsonObject:
        if None in sub.values():
            sub = {key: sub[key] for key in sub if sub[key] is not None or key in _VALUES}
        kind = sub.get("type")
        sub = _with_numbers(sub)
        is_dialect = isinstance(kind, str) and kind.isupper()
        if not is_dialect and not sub.keys() & {"nullable", "propertyOrdering"}:
            return sub
        result = {key: value for key, value in sub.items() if key not in _GOOGLE_ONLY}
        if isinstance(kind, str):
            result["type"] = kind.lower()
            if sub.get("nullable") is True:
                result["type"] = [kind.lower(), "null"]
        return result

    converted: JsonObject = walk(schema, edit)
    return converted
