"""Unified diffs of one virtual file: made, read, and applied with a strict match.

A hunk applies only where its header says, and only when every context line is equal. Nothing is
applied by half: the first hunk that does not fit refuses the patch.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final

TARGET: Final = "shape.json"

_HUNK: Final = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@.*")
_NO_NEWLINE: Final = "\\"
MAX_DIFF_CHARS: Final = 8_000_000


class BadPatch(ValueError):
    """The patch cannot be read or applied; the message names the hunk."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """One change: the lines it replaces, beginning with line `start` (1 is the first)."""

    start: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    label: str
    """Its header, as messages name it."""


def make_diff(old: str, new: str) -> str:
    """Return the unified diff of two texts of the virtual file, "" for equal ones."""
    lines = difflib.unified_diff(
        _lines(old),
        _lines(new),
        f"a/{TARGET}",
        f"b/{TARGET}",
    )
    return "".join(lines)


def apply_diff(text: str, diff: str, *, strip: int = 1) -> str:
    """Return the text after a unified diff.

    Args:
        text: the virtual file.
        diff: of that file alone.
        strip: number of leading parts of the paths that are ignored, as `patch -p` does.

    Raises:
        BadPatch: the diff cannot be read, names another file, or does not match the text.
    """
    lines = _lines(text)
    # Later hunks name lines of the text before the patch, so a hunk moves those behind it.
    shift = 0
    end_before = 0
    for hunk in read_hunks(diff, strip=strip):
        # An insertion into nothing names the line before it.
        start = hunk.start - 1 if hunk.old else hunk.start
        if start < end_before:
            raise BadPatch(f"the hunk {hunk.label} overlaps the one before it")
        at = start + shift
        found = lines[at : at + len(hunk.old)]
        if tuple(line.rstrip("\n") for line in found) != hunk.old:
            raise BadPatch(f"the hunk {hunk.label} does not match the shape")
        lines[at : at + len(hunk.old)] = [f"{line}\n" for line in hunk.new]
        shift += len(hunk.new) - len(hunk.old)
        end_before = start + len(hunk.old)
    return "".join(lines)


def _lines(text: str) -> list[str]:
    # `splitlines` would also split at characters that stand in JSON texts, such as U+2028.
    return [f"{line}\n" for line in text.removesuffix("\n").split("\n")] if text else []


def read_hunks(diff: str, *, strip: int = 1) -> list[Hunk]:
    """Return the hunks of a diff, which must name `shape.json` alone.

    Raises:
        BadPatch: the diff has another form or names another file.
    """
    if len(diff) > MAX_DIFF_CHARS:
        raise BadPatch("the patch is too long")
    lines = diff.split("\n")
    hunks: list[Hunk] = []
    index = 0
    in_file = False
    while index < len(lines):
        line = lines[index]
        if line.startswith("--- "):
            _check_paths(line, lines[index + 1] if index + 1 < len(lines) else "", strip)
            in_file = True
            index += 2
        elif line.startswith("@@"):
            if not in_file:
                raise BadPatch(f"the hunk {line[:60]} names no file")
            hunk, index = _read_hunk(lines, index)
            hunks.append(hunk)
        elif line[:1] in (" ", "+", "-") and in_file and hunks:
            raise BadPatch(f"the hunk {hunks[-1].label} has more lines than it names")
        else:
            # Text between files: quilt and git write descriptions there.
            index += 1
    if not hunks:
        raise BadPatch("the patch has no hunk")
    return hunks


def _check_paths(old: str, new: str, strip: int) -> None:
    if not new.startswith("+++ "):
        raise BadPatch(f"the line “{old[:60]}” is not followed by +++")
    for line in (old, new):
        path = line[4:].partition("\t")[0].strip()
        parts = path.split("/")[strip:]
        if parts != [TARGET]:
            raise BadPatch(f"the patch changes “{path[:80]}”; it may change {TARGET} alone")


def _read_hunk(lines: list[str], index: int) -> tuple[Hunk, int]:
    """Return the hunk whose header is at `index`, and the index behind it."""
    label = lines[index][:80]
    found = _HUNK.fullmatch(lines[index])
    if found is None:
        raise BadPatch(f"“{label}” is no header of a hunk")
    start, old_count, _, new_count = found.groups()
    wanted_old, wanted_new = int(old_count or 1), int(new_count or 1)
    old: list[str] = []
    new: list[str] = []
    index += 1
    while len(old) < wanted_old or len(new) < wanted_new:
        if index >= len(lines):
            raise BadPatch(f"the hunk {label} is cut off")
        line = lines[index]
        index += 1
        # Editors remove the space of an empty context line.
        mark, content = line[:1] or " ", line[1:]
        if mark == _NO_NEWLINE:
            raise BadPatch(f"the hunk {label} has no newline at its end")
        if mark not in " +-":
            raise BadPatch(f"the hunk {label} has a line that begins with “{mark}”")
        if mark in " -":
            old.append(content)
        if mark in " +":
            new.append(content)
    if len(old) != wanted_old or len(new) != wanted_new:
        raise BadPatch(f"the hunk {label} has other lines than it names")
    return Hunk(int(start), tuple(old), tuple(new), label), index
