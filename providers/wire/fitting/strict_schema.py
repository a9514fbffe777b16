"""OpenAI's dialect of strict schemas.

Every object is closed and requires all its properties; some keywords do not exist:
https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from __future__ import annotations

from typing import Any, Final

from providers.wire.core.ir import JsonObject, Request
from providers.wire.rules.schema import walk

_REFUSED: Final = frozenset(
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


def is_openai_strict(schema: JsonObject | None) -> bool:
    """Return whether OpenAI would take the schema as a strict one."""
    if schema is None or schema.get("type") != "object":
        return False
    found: list[bool] = []

    def look(sub: JsonObject, _: str) -> JsonObject:
        found.append(_is_closed(sub) and not sub.keys() & _REFUSED)
        return sub

    walk(schema, look)
    return all(found)


def _is_closed(sub: JsonObject) -> bool:
    kind: Any = sub.get("type")
    is_object = kind == "object" or (isinstance(kind, list) and "object" in kind)
    if not is_object and "properties" not in sub:
        return True
    properties = sub.get("properties") or {}
    required = sub.get("required") or []
    return sub.get("additionalProperties") is False and set(properties) == set(required)


def relax_strictness(request: Request, model: str) -> None:
    """Send schemas of another dialect without strictness, in place."""
    for tool in request.tools:
        if tool.strict and not is_openai_strict(tool.schema):
            tool.strict = False
            request.losses.add(
                f"tools.{tool.name}.strict",
                f"{model} takes strict schemas whose objects are closed and require all"
                " properties; this one was sent without strictness.",
            )
    output = request.output
    if output is not None and output.strict and not is_openai_strict(output.schema):
        output.strict = False
        request.losses.add(
            "response_format.strict",
            f"{model} takes strict schemas whose objects are closed and require all properties;"
            " this one was sent without strictness.",
        )
