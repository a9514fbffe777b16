"""Users' regular expressions, on RE2.

RE2 matches in linear time, so no rule can stall the proxy.
"""

from __future__ import annotations

from typing import Protocol

MAX_PATTERN_CHARS = 1000


class PatternError(ValueError):
    """The expression cannot be used.

    The message gives the position if RE2 names the fragment.
    """


class Pattern(Protocol):
    """A compiled expression."""

    def search(self, text: str) -> object | None: ...


def compile_pattern(expression: str, *, any_case: bool = False) -> Pattern:
    """Compile a user's regular expression; `any_case` ignores the case of letters.

    Raises:
        PatternError: with the offending fragment and its position.
    """
    if len(expression) > MAX_PATTERN_CHARS:
        raise PatternError(f"The expression is longer than {MAX_PATTERN_CHARS} characters.")
    # Models import this module to check rows; most commands check none.
    import re2

    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not any_case
    options.max_mem = 1 << 20
    try:
        compiled: Pattern = re2.compile(expression, options)
    except re2.error as exc:
        raise PatternError(_explain(expression, exc)) from None
    return compiled


def _explain(expression: str, exc: Exception) -> str:
    """Translate RE2's message into one with a position.

    “missing ): a(b” in “xa(b” → position 2.
    """
    detail = exc.args[0] if exc.args else str(exc)
    # google-re2 raises its message as bytes.
    text = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
    reason, _, fragment = text.partition(": ")
    position = expression.find(fragment) if fragment else -1
    if position < 0:
        return f"Bad regular expression: {text}"
    return f"Bad regular expression at position {position + 1} (“{fragment[:40]}”): {reason}"
