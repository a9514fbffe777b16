"""Look of a secret: what a client sends as its key may be any text of the conversation. Pure."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

MIN_CHARS: Final = 16
MAX_CHARS: Final = 8192
MIN_CHANGES: Final = 5
"""Neighbours of different kinds (lower case, upper case, digit) that words and dates lack.

"claude-3-5-sonnet-20241022" has three, a random hex number of 16 digits seven on average.
"""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=:-]+")
_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")
_KINDS = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "a" * 26 + "A" * 26 + "0" * 10
)


def looks_like_secret(value: str) -> bool:
    """Return whether a credential that a client sent may be cut out wherever it stands.

    If it were any text, a client could erase that text from the record of everybody. Words, names
    of models and sentences are no secrets; they lose their place in the header alone.

    "sk-ant-api03-Qz7kL93fWm2x" → True; "claude-3-5-sonnet-20241022" → False
    """
    if not MIN_CHARS <= len(value) <= MAX_CHARS or not _TOKEN.fullmatch(value):
        return False
    kinds = _SEPARATORS.sub("", value).translate(_KINDS)
    if "0" not in kinds:
        return False
    changes = sum(left != right for left, right in pairwise(kinds))
    return changes >= MIN_CHANGES
