"""Search in the columns of flows: for those that wait for the index, and for short words."""

from __future__ import annotations

import re
from typing import Final

from django.db.models import Q

from flows.search.folding import spellings
from flows.search.wanted_words import Wanted

_ID_START: Final = re.compile(r"[0-9a-f]{6,8}(-[0-9a-f-]*)?", re.IGNORECASE)
_TEXT_COLUMNS: Final = (
    "path", "host", "requested_model", "sent_model", "provider", "rule", "error",
)  # fmt: skip


def column_condition(words: Wanted) -> Q:
    """Return the condition that a flow has every word in a name, an id, or the stored start."""
    condition = Q()
    for word in words.words:
        of_word = Q()
        for spelled in spellings(word):
            of_word |= _word(spelled)
        condition &= of_word
    return condition


def _word(word: str) -> Q:
    found = Q(method=word.upper()) | Q(session_id__startswith=word) | Q(run_label=word)
    if _ID_START.fullmatch(word):
        found |= Q(id__startswith=word.lower())
    for column in _TEXT_COLUMNS:
        found |= Q(**{f"{column}__icontains": word})
    # This text is stored in lower case: folding 4 KB a row would take most of the time.
    return found | Q(search_text__contains=word.lower())
