"""The Changes tab: two requests compared, and the rail of hooks with what each one did."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from flows.compare.diff import HeaderChange, JsonChange, TextLine, header_diff, json_diff, text_diff
from flows.compare.line_counts import MAX_COUNTED_BYTES, Counts, changed_lines
from flows.display.units import plural, size
from flows.reading.body_view import BodyView, body_view
from flows.sides import HookTrace

MAX_CHANGES: Final = 300
MAX_VALUE_CHARS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Step:
    """One hook on the rail."""

    trace: HookTrace
    changed: str
    lines: Counts | None = None
    """Lines added and removed; None where they were not counted."""

    @property
    def took_ms(self) -> float:
        """Preparing and applying."""
        return self.trace.prepare_ms + self.trace.apply_ms

    @property
    def before_source(self) -> str:
        """What the body before it is called in a download's address."""
        return f"hook-{self.trace.seq}-before"

    @property
    def after_source(self) -> str:
        """What the body after it is called."""
        return f"hook-{self.trace.seq}-after"


@dataclass(frozen=True, slots=True)
class BodyChange:
    """One changed place of a JSON body, ready to show: two short values, or lines of a text
    diff.
    """

    change: JsonChange
    before: str = ""
    after: str = ""
    lines: list[TextLine] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RequestChange:
    """Everything that differs between two requests."""

    urls: tuple[str, str] | None
    headers: list[HeaderChange]
    same_headers: list[HeaderChange]
    body: list[BodyChange]
    body_lines: list[TextLine]
    body_note: str
    cut: int = 0

    @property
    def moved(self) -> int:
        """How many of the changes are nothing but another order."""
        kinds = [line.kind for line in self.headers] + [item.change.kind for item in self.body]
        return kinds.count("moved")

    @property
    def nothing(self) -> bool:
        """Whether they are the same."""
        return not (self.urls or self.headers or self.body or self.body_lines or self.body_note)


def rail(traces: Sequence[HookTrace], bodies: Mapping[str, bytes], content_type: str) -> list[Step]:
    """The hooks in order, each with its changes in a few words and counted in lines.

    `bodies` has the stored bytes by digest.
    """
    return [
        Step(trace, _in_words(trace.changed), _counted(trace, bodies, content_type))
        for trace in traces
    ]


def _counted(trace: HookTrace, bodies: Mapping[str, bytes], content_type: str) -> Counts | None:
    digests = trace.body_before, trace.body_after
    before, after = (
        (None, None)
        if digests[0] == digests[1]
        else (bodies.get(digest, b"") for digest in digests)
    )
    if not trace.changed or max(len(before or b""), len(after or b"")) > MAX_COUNTED_BYTES:
        return None
    return changed_lines(
        urls=(trace.url_before, trace.url_after),
        headers=(trace.headers_before or [], trace.headers_after or []),
        bodies=(
            None if before is None else body_view("", before, content_type),
            None if after is None else body_view("", after, content_type),
        ),
    )


def _in_words(changed: Sequence[str]) -> str:
    headers = sum(name.startswith("header:") for name in changed)
    words = [plural(headers, "header")] if headers else []
    kinds = {name.partition(":")[0] for name in changed}
    words += [word for kind, word in (("body", "body"), ("url", "address")) if kind in kinds]
    notes = sum(name.startswith("meta:") for name in changed)
    return " · ".join([*words, *([plural(notes, "note")] if notes else [])])


def compare_requests(
    *,
    urls: tuple[str, str],
    headers: tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]],
    bodies: tuple[BodyView | None, BodyView | None],
) -> RequestChange:
    """Compare two requests; two None for the bodies mean that they are the same."""
    lines = header_diff(*headers)
    changes, text, note = _compare_bodies(*bodies)
    return RequestChange(
        urls=urls if urls[0] != urls[1] else None,
        headers=[line for line in lines if line.kind != "same"],
        same_headers=[line for line in lines if line.kind == "same"],
        body=[_shown(change) for change in changes[:MAX_CHANGES]],
        body_lines=text,
        body_note=note,
        cut=max(0, len(changes) - MAX_CHANGES),
    )


def _compare_bodies(
    before: BodyView | None, after: BodyView | None
) -> tuple[list[JsonChange], list[TextLine], str]:
    if before is None or after is None:
        return [], [], ""
    if before.kind == after.kind == "json":
        try:
            changes = json_diff(before.json.value, after.json.value)
        except RecursionError:
            return [], [], "The documents are nested too deeply to compare."
        return (
            changes,
            [],
            (
                ""
                if changes
                else "The same document, written differently (spaces or the order of keys)."
            ),
        )
    if "binary" in (before.kind, after.kind):
        return (
            [],
            [],
            f"Binary body: {size(before.size_bytes)} before, {size(after.size_bytes)} after.",
        )
    texts = [view.plain.decode("utf-8", "surrogateescape") for view in (before, after)]
    lines = text_diff(*texts)
    return [], lines, "" if lines else "Only line ends differ."


def _shown(change: JsonChange) -> BodyChange:
    before, after = _value(change, change.before), _value(change, change.after)
    if change.kind == "changed" and (len(before) + len(after) > 160 or "\n" in before + after):
        return BodyChange(change, lines=text_diff(before, after))
    if change.kind == "moved":
        return BodyChange(change, ", ".join(_names(change.before)), ", ".join(_names(change.after)))
    return BodyChange(
        change, before if change.kind != "added" else "", after if change.kind != "removed" else ""
    )


def _names(values: Any) -> list[str]:
    return [str(value).partition("=")[2] for value in values[:40]]


def _value(change: JsonChange, value: Any) -> str:
    """A value as text: strings as they are where they are compared by line, everything else as
    JSON.
    """
    if isinstance(value, str) and change.kind == "changed" and ("\n" in value or len(value) > 80):
        text = value
    else:
        try:
            text = json.dumps(
                value, ensure_ascii=False, indent=2 if isinstance(value, dict | list) else None
            )
        except RecursionError:
            return "(nested too deeply to be shown)"
    return (
        text
        if len(text) <= MAX_VALUE_CHARS
        else f"{text[:MAX_VALUE_CHARS]}… ({len(text)} characters)"
    )
