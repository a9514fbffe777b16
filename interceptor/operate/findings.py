"""Results of `ccproxy doctor`: what was looked at, what was found, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from providers.base.errors import CcproxyError


class Level(StrEnum):
    """Weight of a finding; a failure makes the exit code 1."""

    OK = "ok"
    NOTE = "note"
    FAILURE = "failure"


class Finding(NamedTuple):
    """One line of the report. `fix` is a command or a sentence; "" where nothing is to do."""

    check: str
    level: Level
    text: str
    fix: str = ""


def refused(check: str, action: Callable[[], None], good: str) -> Finding:
    """Run one of the start's checks: its refusal is the finding, and holds the way out."""
    try:
        action()
    except CcproxyError as exc:
        sentence, _, fix = str(exc).partition("; ")
        return Finding(check, Level.FAILURE, sentence, fix)
    return Finding(check, Level.OK, good)
