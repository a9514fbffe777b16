"""Suggestions for misspelt names in jq filters: functions, and fields of flows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from providers.base.nearest import nearest

# Those of jq 1.7's manual that filters of flows may need.
_FUNCTIONS: Final = (
    "abs", "add", "all", "any", "arrays", "ascii_downcase", "ascii_upcase", "booleans", "capture",
    "ceil", "combinations", "contains", "debug", "del", "delpaths", "empty", "endswith", "error",
    "explode", "finites", "first", "flatten", "floor", "from_entries", "fromdate", "fromjson",
    "getpath", "group_by", "gsub", "has", "implode", "in", "index", "indices", "infinite", "inside",
    "isempty", "isvalid", "iterables", "join", "keys", "keys_unsorted", "last", "length", "limit",
    "ltrimstr", "map", "map_values", "match", "max", "max_by", "min", "min_by", "nan", "normals",
    "not", "now", "nth", "nulls", "numbers", "objects", "path", "paths", "pick", "pow", "range",
    "recurse", "reverse", "rindex", "round", "rtrimstr", "scalars", "scan", "select", "setpath",
    "sort", "sort_by", "split", "splits", "sqrt", "startswith", "strftime", "strings", "strptime",
    "sub", "test", "to_entries", "todate", "tojson", "tonumber", "tostring", "transpose", "trim",
    "tostream", "type", "unique", "unique_by", "until", "utf8bytelength", "values", "walk", "while",
    "with_entries",
)  # fmt: skip
_UNDEFINED: Final = re.compile(r"(\w+)/\d+ is not defined")
_TEXT: Final = re.compile(r'"(?:\\.|[^"\\])*"')
_FIELD: Final = re.compile(r"\.([A-Za-z_]\w*)")
# `{kind: .type}` and `{model}` make fields that later filters may use.
_MADE: Final = re.compile(r"[{,]\s*([A-Za-z_]\w*)")
_CUTOFF: Final = 0.75
_MAX_DEPTH: Final = 6


def function_hint(message: str) -> str:
    """Return the end of jq's message about an unknown function, or "".

    `lenght/0 is not defined` → "; did you mean length?".
    """
    found = _UNDEFINED.search(message)
    meant = nearest(found[1], _FUNCTIONS) if found else ""
    return f"; did you mean {meant}?" if meant else ""


def field_hint(filters: Sequence[str], flow: Any) -> str:
    """Return a sentence about the first field in the filters that flows lack, or "".

    jq gives null for such a field, so that a misspelt one matches nothing without an error.

    Args:
        filters: jq.
        flow: a flow as jq sees it; its keys at any depth are the known ones.
    """
    known = set(_keys(flow))
    sources = [_TEXT.sub('""', text) for text in filters]
    for source in sources:
        known.update(_MADE.findall(source))
    for source in sources:
        for name in _FIELD.findall(source):
            meant = "" if name in known else nearest(name, known, cutoff=_CUTOFF)
            if meant:
                return f"Flows have no field “{name}”; did you mean {meant}?"
    return ""


def _keys(value: Any, depth: int = 0) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _keys(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner, depth + 1)
