"""Filter of flows by a header of any of their four sides.

Headers are JSON text (see `flows.sides`), and the database searches that text. Examples, with what
is searched in `[[["Content-Type","text/plain"]]]`:

    "text"                → any name or value that contains "text"
    "content-type:"       → `["content-type","` followed by any value
    "content-type: plain" → `["content-type","`, any characters of one value, then `plain`
"""

from __future__ import annotations

import re
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from flows.bytes.database_text import database_json
from flows.models import Flow, FlowParts
from flows.search.finder import possible_ids
from flows.search.flow_parts import has_header_line, header_line
from flows.search.folding import TRIGRAM_CHARS, folded
from flows.search.id_list import listed

# A token, RFC 9110 section 5.6.2.
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# The characters of a JSON string up to its end: plain ones, and escapes such as \" and \\.
_ANY_OF_VALUE: Final = r'([^"\\]|\\.)*'


def by_header(flows: QuerySet[Flow], wanted: str) -> QuerySet[Flow]:
    """Keep flows with a header: "name: part of its value", "name:", or a part of a name or value.

    Letters match in either case. The database looks up a flow's headers by its id, so it finds the
    newest matches soon. Where few flows have the name and the value, the search index tells which.
    """
    left, condition = narrowed_by_header(flows, wanted)
    return left if condition is None else left.filter(condition)


def narrowed_by_header(flows: QuerySet[Flow], wanted: str) -> tuple[QuerySet[Flow], Q | None]:
    """Return the flows that are left, and the condition that each of them still has to meet.

    None: all of them meet it. The database reads the headers of every flow for a condition that
    few of them meet.
    """
    parts = FlowParts.objects.filter(_condition(wanted.strip()), flow=OuterRef("pk"))
    condition = Q(Exists(parts))
    possible = _indexed(wanted)
    if possible is None:
        return flows, condition
    return flows.filter(condition, pk__in=listed(possible)), None


def _indexed(wanted: str) -> list[str] | None:
    """Return the flows that may have the header; None if the index does not tell."""
    name, colon, value = (part.strip() for part in wanted.partition(":"))
    if not colon or not _NAME.fullmatch(name) or not has_header_line(name):
        return None
    words = [folded(header_line(name, ""))]
    if len(folded(value)) >= TRIGRAM_CHARS:
        words.append(folded(value))
    return possible_ids([(word,) for word in words])


def _condition(wanted: str) -> Q:
    name, colon, value = (part.strip() for part in wanted.partition(":"))
    if not colon or not _NAME.fullmatch(name):
        return Q(headers__icontains=_as_stored(wanted))
    name = _as_stored(name)
    value = _as_stored(value)
    # Much faster than the expression, and leaves few rows to it.
    contains_both = Q(headers__icontains=name) & Q(headers__icontains=value)
    in_one_line = rf'\["{re.escape(name)}","{_ANY_OF_VALUE}{re.escape(value)}'
    return contains_both & Q(headers__iregex=in_one_line)


def _as_stored(text: str) -> str:
    """Write a text as it stands inside a JSON string: `a"b` → `a\\"b`."""
    return database_json(text).decode()[1:-1]
