"""OpenAI's dialect of strict schemas.

Every object is closed and requires all its properties; some keywords do not exist:
https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from __future__ import annotations

from typing import Any

from providers.wire.core.ir import JsonObject, Request, Tool
from providers.wire.rules.schema import walk
from providers.wire.tools.strict_arguments import REFUSED, closed_schema


def is_openai_strict(schema: JsonObject | None) -> bool:
    """Return whether OpenAI would take the schema as a strict one."""
    if schema is None or schema.get("type") != "object":
        return False
    found: list[bool] = []

    def look(sub: JsonObject, _: str) -> JsonObject:
        found.append(_is_closed(sub) and not sub.keys() & REFUSED)
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


def bring_to_dialect(request: Request, model: str) -> None:
    """Bring strict schemas of another dialect to OpenAI's, or send them unstrict, in place.

    Optional properties of a tool become required, and null is what a call says instead of leaving
    one out; the client gets the call without these nulls. Text of a structured output is streamed
    as it comes, so its schema is never changed.
    """
    for tool in request.tools:
        if tool.strict and not is_openai_strict(tool.schema):
            _rewrite_tool(tool, request, model)
    output = request.output
    if output is not None and output.strict and not is_openai_strict(output.schema):
        output.strict = False
        request.losses.add(
            "response_format.strict",
            f"{model} takes strict schemas whose objects are closed and require all properties;"
            " this one was sent without strictness.",
        )


def _rewrite_tool(tool: Tool, request: Request, model: str) -> None:
    path = f"tools.{tool.name}.strict"
    closed = closed_schema(tool.schema)
    if closed is None:
        tool.strict = False
        request.losses.add(
            path,
            f"{model} takes strict schemas whose objects are closed and require all properties;"
            " this one was sent without strictness.",
        )
        return
    tool.schema = closed
    request.losses.add(
        path,
        f"{model} takes strict schemas that require all properties; optional ones may be null"
        " there, and such nulls are left out of the calls.",
    )
