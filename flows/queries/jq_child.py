"""The process in which jq filters run: no environment, no files, bounded memory, time and output.

Started by `flows.queries.jq` as a script of its own, with the limits as argument. Standard input:
the filters as a line of JSON, then the JSON text they work on. Standard output: a line of JSON,
`{}` or `{"error": ..., "filter": place}`, then the result. libjq reads files for `import` and
`modulemeta` and tells its environment: both are taken away first.
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
_PLACE = re.compile(r"\s+at <top-level>, line (\d+)(?:, column (\d+))?:?")


class RefusedError(Exception):
    """A filter cannot be used: its place in the list, and why."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def main() -> None:
    """Do what standard input asks for."""
    filters: list[str] = json.loads(sys.stdin.buffer.readline())
    limits: dict[str, int] = json.loads(sys.argv[1])
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    os.environ.clear()
    os.nice(10)
    _limit(limits)
    try:
        for place, source in enumerate(filters):
            _compile(_ENCLOSED.format(source), place, source)
        for place, source in enumerate(filters):
            text = _run(source, place, text)
        if len(text) > limits["max_output_chars"]:
            raise RefusedError(len(filters) - 1, "its result is too large; select or shorten more")
    except RefusedError as refused:
        sys.stdout.write(json.dumps({"error": str(refused), "filter": refused.place}))
        return
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))


def _limit(limits: dict[str, int]) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_CPU, limits["cpu_s"]),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def _compile(program: str, place: int, alone: str = "") -> Any:
    try:
        return jq.compile(program)
    except ValueError as exc:
        enclosed = str(exc)
    # alone it fails at the place its author wrote, unless the brackets are what it cannot have
    try:
        jq.compile(alone)
    except ValueError as exc:
        raise RefusedError(place, _readable(str(exc), first_line=1)) from None
    raise RefusedError(place, _readable(enclosed, first_line=2))


def _readable(message: str, *, first_line: int) -> str:
    """The first line of jq's message, with the place as the filter's author counts it."""
    first = message.strip().partition("\n")[0].removeprefix("jq: error: ")
    found = _PLACE.search(first)
    if found is None:
        return first
    column = f", column {found[2]}" if found[2] else ""
    return f"{_PLACE.sub('', first)} (line {max(1, int(found[1]) - first_line + 1)}{column})"


def _run(source: str, place: int, text: str) -> str:
    program = _compile(_ONE_ARRAY.format(_ENCLOSED.format(source)), place)
    try:
        result: str = program.input_text(text).text()
    except ValueError as exc:
        raise RefusedError(place, str(exc)[:1000] or "it failed without a message") from None
    except MemoryError:
        raise RefusedError(place, "it needs too much memory") from None
    if result.startswith("["):
        return result
    if not result:
        raise RefusedError(place, "it gives nothing; it has to give one array")
    found = json.loads(result)
    if found["count"] != 1:
        raise RefusedError(
            place, "it gives no value or several; it has to give one array: put it in [ ]"
        )
    raise RefusedError(place, f"it gives {found['type']}; it has to give an array: put it in [ ]")


if __name__ == "__main__":
    main()
