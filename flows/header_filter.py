"""Finds flows by a header of any of their four sides. Headers are JSON, and are searched as text on every database."""

from __future__ import annotations

import json
import re
from typing import Final

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast

from flows.models import Flow, FlowSide

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110 section 5.6.2


def by_header(flows: QuerySet[Flow], wanted: str) -> QuerySet[Flow]:
    """Flows with a header: "name: part of its value", "name:" for any value, or a text in any name or value.

    Letters match in either case. A flow's sides are looked up by its id, so the newest that match are found soon.
    """
    sides = FlowSide.objects.filter(flow_id=OuterRef("pk")).annotate(lines=Cast("headers", TextField()))
    return flows.filter(Exists(sides.filter(_condition(wanted.strip()))))


def _condition(wanted: str) -> Q:
    name, colon, value = wanted.partition(":")
    if not (colon and _NAME.fullmatch(name.strip())):
        return Q(lines__icontains=_as_stored(wanted))
    name, value = _as_stored(name.strip()), _as_stored(value.strip())
    coarse = Q(lines__icontains=name) & Q(lines__icontains=value)  # much faster, and leaves little to the expression
    within = r'\["' + re.escape(name) + r'", "([^"\\]|\\.)*' + re.escape(value)
    return coarse & Q(lines__iregex=within)


def _as_stored(text: str) -> str:
    """A text as it stands inside of a JSON string: SQLite keeps Python's spelling, PostgreSQL its own."""
    return json.dumps(text, ensure_ascii=connection.vendor == "sqlite")[1:-1]
