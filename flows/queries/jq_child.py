"""Process in which jq filters run: no environment, no files, bounded memory, time and output.

`flows.queries.jq` starts it as a script, with the limits as its argument. Standard input: the
filters as a line of JSON, then the JSON text they work on. Standard output: a line of JSON, `{}` or
`{"error": ..., "filter": index}`, then the result. libjq reads files for `import` and `modulemeta`
and shows its environment, so the script takes both away first.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
from typing import Any

import jq

# A newline ends a comment, and inside brackets there can be no `import` and no `module`.
_ENCLOSED = "(\n{}\n)"
_ONE_ARRAY = (
    '[limit(2; {})] | if length == 1 and (.[0] | type) == "array" then .[0] '
    "else {{count: length, type: (.[0] | type)}} end"
)
_POSITION = re.compile(r"\s+at <top-level>, line (\d+)(?:, column (\d+))?:?")
_MAX_MESSAGE_CHARS = 1000


class RefusedError(Exception):
    """A filter that cannot be used: its index in the list, and the reason."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


def main() -> None:
    """Read the filters and their input from standard input, and write the result."""
    filters: list[str] = json.loads(sys.stdin.buffer.readline())
    limits: dict[str, int] = json.loads(sys.argv[1])
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    os.environ.clear()
    os.nice(10)
    _limit(limits)
    try:
        # All are compiled first: a wrong second filter fails before the first one runs.
        for index, source in enumerate(filters):
            _compile(_ENCLOSED.format(source), index, source)
        for index, source in enumerate(filters):
            text = _run(source, index, text)
        if len(text) > limits["max_output_chars"]:
            raise RefusedError(len(filters) - 1, "its result is too large; select or shorten more")
    except RefusedError as refused:
        sys.stdout.write(json.dumps({"error": str(refused), "filter": refused.index}))
        return
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))


def _limit(limits: dict[str, int]) -> None:
    values = {
        resource.RLIMIT_AS: limits["memory_bytes"],
        resource.RLIMIT_CPU: limits["cpu_s"],
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in values.items():
        resource.setrlimit(kind, (value, value))


def _compile(program: str, index: int, alone: str = "") -> Any:
    try:
        return jq.compile(program)
    except ValueError as exc:
        enclosed = str(exc)
    # Alone it fails at the position that its author wrote. If it compiles alone, the brackets are
    # the reason: it holds an `import` or a `module`.
    try:
        jq.compile(alone)
    except ValueError as exc:
        raise RefusedError(index, _readable(str(exc), first_line=1)) from None
    raise RefusedError(index, _readable(enclosed, first_line=2))


def _readable(message: str, *, first_line: int) -> str:
    """Return the first line of jq's message, with the position as the filter's author counts it."""
    first = message.strip().partition("\n")[0].removeprefix("jq: error: ")
    match = _POSITION.search(first)
    if match is None:
        return first
    line = max(1, int(match[1]) - first_line + 1)
    column = f", column {match[2]}" if match[2] else ""
    reason = _POSITION.sub("", first)
    return f"{reason} (line {line}{column})"


def _run(source: str, index: int, text: str) -> str:
    program = _compile(_ONE_ARRAY.format(_ENCLOSED.format(source)), index)
    try:
        result: str = program.input_text(text).text()
    except ValueError as exc:
        reason = str(exc)[:_MAX_MESSAGE_CHARS] or "it failed without a message"
        raise RefusedError(index, reason) from None
    except MemoryError:
        raise RefusedError(index, "it needs too much memory") from None
    if result.startswith("["):
        return result
    if not result:
        raise RefusedError(index, "it returns nothing; it has to return one array")

    # Anything else is the object that _ONE_ARRAY builds from a wrong result.
    report = json.loads(result)
    if report["count"] != 1:
        raise RefusedError(
            index, "it returns no value or several; it has to return one array: put it in [ ]"
        )
    raise RefusedError(
        index, f"it returns {report['type']}; it has to return an array: put it in [ ]"
    )


if __name__ == "__main__":
    main()
