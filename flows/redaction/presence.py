"""Test whether data may hold a secret at all: one pass instead of one for each kind. Pure.

Nearly every text and body holds none. RE2 reads the data once for the landmarks of registered
secrets and the names of secret fields together:

    landmarks  hijklmno|opqrstuv         a secret's fragment holds one (`scanner.py`)
    fields     "(?:api[-_]?key|…)"\\s*:\\s*"   a secret's field begins so (`json_fields.py`)
"""

from __future__ import annotations

from typing import Any

import re2

from flows.redaction.json_fields import FIELD_PATTERN
from flows.redaction.scanner import PATTERN_BYTES, Scanner

MAX_LITERALS = 2000
"""Some twelve secrets. Nothing is ruled out for more: each new one would cost milliseconds."""


class Presence:
    """One pattern for everything that a search could find.

    Compiling it takes milliseconds, so it lives as long as the registered secrets are the same.

    Args:
        registered: of the secrets that are searched for in every encoding.
    """

    def __init__(self, registered: Scanner) -> None:
        self._registered = registered
        self._search: Any = None
        self._is_of_use = True

    def is_ruled_out(self, data: bytes) -> bool:
        """Return true when `data` holds no landmark and no field; false when it may."""
        if self._search is None and self._is_of_use:
            self._compile()
        return self._is_of_use and self._search(data) is None

    def _compile(self) -> None:
        literals = self._registered.literals()
        if len(literals) > MAX_LITERALS:
            self._is_of_use = False
            return
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.never_capture = True
        options.max_mem = PATTERN_BYTES
        alternatives = [*map(re2.escape, sorted(literals)), b"(?i:%b)" % FIELD_PATTERN]
        self._search = re2.compile(b"|".join(alternatives), options).search
