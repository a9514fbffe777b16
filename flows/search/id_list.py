"""Many ids as a condition of a query."""

from __future__ import annotations

import json
from typing import Final

from django.db import connection
from django.db.models.expressions import RawSQL

_PLAIN_IDS: Final = 500


def listed(ids: list[str]) -> list[str] | RawSQL:
    """Return many ids as one parameter: databases take a limited number of them."""
    if len(ids) <= _PLAIN_IDS:
        return ids
    if connection.vendor == "postgresql":
        return RawSQL("SELECT jsonb_array_elements_text(%s::jsonb)", [json.dumps(ids)])
    return RawSQL("SELECT value FROM json_each(%s)", [json.dumps(ids)])
