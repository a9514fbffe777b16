"""Finds flows by a header of any of their four sides.

They are JSON text (see `flows.sides`) and searched as such.
"""

from __future__ import annotations

import re
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from flows.bytes.database_text import database_json
from flows.models import Flow, FlowParts

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110 section 5.6.2


def by_header(flows: QuerySet[Flow], wanted: str) -> QuerySet[Flow]:
    """Flows with a header: "name: part of its value", "name:" for any value, or a text in any name
    or value.

    Letters match in either case. A flow's headers are looked up by its id, so the newest that match
    are found soon.
    """
    return flows.filter(
        Exists(FlowParts.objects.filter(_condition(wanted.strip()), flow=OuterRef("pk")))
    )


def _condition(wanted: str) -> Q:
    name, colon, value = wanted.partition(":")
    if not (colon and _NAME.fullmatch(name.strip())):
        return Q(headers__icontains=_as_stored(wanted))
    name, value = _as_stored(name.strip()), _as_stored(value.strip())
    # Much faster, and leaves little to the expression.
    coarse = Q(headers__icontains=name) & Q(headers__icontains=value)
    within = r'\["' + re.escape(name) + r'","([^"\\]|\\.)*' + re.escape(value)
    return coarse & Q(headers__iregex=within)


def _as_stored(text: str) -> str:
    """A text as it stands inside of a JSON string."""
    return database_json(text).decode()[1:-1]
