"""Patch series in the style of quilt: a file `series` and the patches that it lists. Pure.

Example of a series:

    # what our gateway wants
    0001-beta.patch -p1
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from shapes.files.shape_file_error import ShapeFileError

SERIES: Final = "series"
MAX_PATCHES: Final = 100
MAX_PATCH_BYTES: Final = 1_000_000
_STRIP: Final = re.compile(r"-p([0-9]{1,2})")
_NAMED: Final = re.compile(r"^(---|\+\+\+) ([^\t\n]+)", re.MULTILINE)
_TARGETS: Final = {"---": "a/shape.json", "+++": "b/shape.json"}


@dataclass(frozen=True, slots=True)
class PatchFile:
    """One patch of a series: its name there, and its diff against `a/shape.json`."""

    name: str
    diff: str


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    strip: int


def read_series(directory: Path) -> list[PatchFile]:
    """Return the patches of a directory in the order of its series; none without a series.

    Raises:
        ShapeFileError: a line, an option or a patch cannot be used; the message names it.
    """
    file = directory / SERIES
    if not file.is_file():
        return []
    patches = []
    for entry in _entries(_text(file, SERIES), directory.name):
        path = _inside(directory, entry.name)
        diff = _stripped(_text(path, entry.name), entry)
        patches.append(PatchFile(entry.name, diff))
    return patches


def _entries(text: str, directory: str) -> list[_Entry]:
    entries: list[_Entry] = []
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{directory}/{SERIES}, line {number}"
        try:
            words = shlex.split(line, comments=True)
        except ValueError as exc:
            raise ShapeFileError(f"{place}: {exc}.") from None
        if words:
            entries.append(_entry(words, place))
    if len(entries) > MAX_PATCHES:
        raise ShapeFileError(f"{directory}/{SERIES} lists over {MAX_PATCHES} patches.")
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise ShapeFileError(f"{directory}/{SERIES} lists {name} twice.")
    return entries


def _entry(words: list[str], place: str) -> _Entry:
    name, *options = words
    # "-p 1" is the same as "-p1".
    if len(options) == 2 and options[0] == "-p":
        options = ["".join(options)]
    strip = 1
    for option in options:
        found = _STRIP.fullmatch(option)
        if found is None or len(options) > 1:
            raise ShapeFileError(f"{place}: the only option is -pN, not “{' '.join(options)}”.")
        strip = int(found[1])
    return _Entry(name, strip)


def _inside(directory: Path, name: str) -> Path:
    """Return the path of a patch; a link or a `..` must not lead out of the directory."""
    path = directory / name
    is_relative = not PurePosixPath(name).is_absolute()
    if not is_relative or not path.resolve().is_relative_to(directory.resolve()):
        raise ShapeFileError(f"{directory.name}/{SERIES}: {name[:100]} leads out of the directory.")
    return path


def _text(path: Path, name: str) -> str:
    try:
        if path.stat().st_size > MAX_PATCH_BYTES:
            raise ShapeFileError(f"{name} has over {MAX_PATCH_BYTES:,} bytes.")
        return path.read_text("utf-8")
    except OSError as exc:
        raise ShapeFileError(f"{name} cannot be read: {exc.strerror}.") from None
    except UnicodeDecodeError:
        raise ShapeFileError(f"{name} is not UTF-8.") from None


def _stripped(diff: str, entry: _Entry) -> str:
    """Return the diff with the names that every stored patch has.

    Example: with -p0, `--- shape.json` becomes `--- a/shape.json`.
    """

    def renamed(found: re.Match[str]) -> str:
        name = "/".join(found[2].strip().split("/")[entry.strip :])
        if name != "shape.json":
            raise ShapeFileError(
                f"{entry.name} changes {found[2].strip()[:80]}, and a patch may change shape.json"
                " alone."
            )
        return f"{found[1]} {_TARGETS[found[1]]}"

    # Lines of a hunk that begin like these are removed or added lines of JSON; it has no such ones.
    return _NAMED.sub(renamed, diff)


def series_files(patches: list[PatchFile]) -> dict[str, str]:
    """Return the files of a series by name."""
    listed = "".join(f"{shlex.quote(patch.name)}\n" for patch in patches)
    return {SERIES: listed, **{patch.name: patch.diff for patch in patches}}
