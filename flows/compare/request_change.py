"""The Changes tab: two requests compared, and the hooks with the changes of each one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from flows.compare.compared_request import ComparedRequest
from flows.compare.diff import HeaderChange, JsonChange, TextLine, header_diff, json_diff, text_diff
from flows.compare.line_counts import MAX_COUNTED_BYTES, LineCounts, changed_lines
from flows.display.units import plural, size
from flows.reading.body_view import BodyView, body_view
from flows.sides import HookTrace

MAX_CHANGES: Final = 300
MAX_VALUE_CHARS: Final = 20_000
_MAX_INLINE_CHARS: Final = 160
_MAX_QUOTED_CHARS: Final = 80
_MAX_MOVED_NAMES: Final = 40


@dataclass(frozen=True, slots=True)
class Step:
    """One hook in the list of hooks. `lines` is None if they were not counted."""

    trace: HookTrace
    changed: str
    lines: LineCounts | None = None

    @property
    def took_ms(self) -> float:
        """Time to prepare and to apply the hook."""
        return self.trace.prepare_ms + self.trace.apply_ms

    @property
    def before_source(self) -> str:
        """Name of the body before the hook, in the address of a download."""
        return f"hook-{self.trace.seq}-before"

    @property
    def after_source(self) -> str:
        """Name of the body after the hook."""
        return f"hook-{self.trace.seq}-after"


@dataclass(frozen=True, slots=True)
class BodyChange:
    """One change of a JSON body for the page: two short values, or the lines of a text diff."""

    change: JsonChange
    before: str = ""
    after: str = ""
    lines: list[TextLine] = field(default_factory=list)


class UrlChange(NamedTuple):
    """Two different addresses, or first lines."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RequestChange:
    """All differences of two requests. `cut` counts changes of the body beyond the limit."""

    urls: UrlChange | None
    headers: list[HeaderChange]
    same_headers: list[HeaderChange]
    body: list[BodyChange]
    body_lines: list[TextLine]
    body_note: str
    cut: int = 0

    @property
    def moved(self) -> int:
        """Number of changes that are only another order."""
        header_kinds = [line.kind for line in self.headers]
        body_kinds = [item.change.kind for item in self.body]
        return header_kinds.count("moved") + body_kinds.count("moved")

    @property
    def nothing(self) -> bool:
        """True if the requests are equal."""
        return not (self.urls or self.headers or self.body or self.body_lines or self.body_note)


class _BodyDifference(NamedTuple):
    changes: Sequence[JsonChange] = ()
    lines: Sequence[TextLine] = ()
    note: str = ""


def rail(traces: Sequence[HookTrace], bodies: Mapping[str, bytes], content_type: str) -> list[Step]:
    """Return the hooks in order, each with its changes in a few words and counted in lines.

    `bodies` has the stored bytes by digest.
    """
    steps = []
    for trace in traces:
        lines = _counted(trace, bodies, content_type)
        steps.append(Step(trace, _in_words(trace.changed), lines))
    return steps


def _counted(trace: HookTrace, bodies: Mapping[str, bytes], content_type: str) -> LineCounts | None:
    # The hooks of a shape work on a draft, which is not recorded.
    if not trace.changed or trace.stage == "shape":
        return None
    before = ComparedRequest(trace.url_before, trace.headers_before or [])
    after = ComparedRequest(trace.url_after, trace.headers_after or [])
    if trace.body_before != trace.body_after:
        old = bodies.get(trace.body_before, b"")
        new = bodies.get(trace.body_after, b"")
        # Before they are parsed, which takes longer than the comparison.
        if max(len(old), len(new)) > MAX_COUNTED_BYTES:
            return None
        before = replace(before, body=body_view("", old, content_type))
        after = replace(after, body=body_view("", new, content_type))
    return changed_lines(before, after)


def _in_words(changed: Sequence[str]) -> str:
    """Name a hook's changes: `["header:x-a", "body", "meta:note"]` → "1 header · body · 1 note"."""
    kinds = [name.partition(":")[0] for name in changed]
    words = []
    headers = kinds.count("header")
    if headers:
        words.append(plural(headers, "header"))
    if "body" in kinds:
        words.append("body")
    if "url" in kinds:
        words.append("address")
    notes = kinds.count("meta")
    if notes:
        words.append(plural(notes, "note"))
    return " · ".join(words)


def compare_requests(before: ComparedRequest, after: ComparedRequest) -> RequestChange:
    """Compare two requests."""
    urls = None
    if before.url != after.url:
        urls = UrlChange(before.url, after.url)
    lines = header_diff(before.headers, after.headers)
    body = _compare_bodies(before.body, after.body)
    return RequestChange(
        urls=urls,
        headers=[line for line in lines if line.kind != "same"],
        same_headers=[line for line in lines if line.kind == "same"],
        body=[_shown(change) for change in body.changes[:MAX_CHANGES]],
        body_lines=list(body.lines),
        body_note=body.note,
        cut=max(0, len(body.changes) - MAX_CHANGES),
    )


def _compare_bodies(before: BodyView | None, after: BodyView | None) -> _BodyDifference:
    if before is None or after is None:
        return _BodyDifference()
    kinds = {before.kind, after.kind}
    if kinds == {"json"}:
        return _compare_json(before, after)
    if "binary" in kinds:
        sizes = f"{size(before.size_bytes)} before, {size(after.size_bytes)} after"
        return _BodyDifference(note=f"Binary body: {sizes}.")
    old_text = before.plain.decode("utf-8", "surrogateescape")
    new_text = after.plain.decode("utf-8", "surrogateescape")
    lines = text_diff(old_text, new_text)
    note = "" if lines else "Only line ends differ."
    return _BodyDifference(lines=lines, note=note)


def _compare_json(before: BodyView, after: BodyView) -> _BodyDifference:
    try:
        changes = json_diff(before.json.value, after.json.value)
    except RecursionError:
        return _BodyDifference(note="The documents are nested too deeply to compare.")
    if changes:
        return _BodyDifference(changes)
    return _BodyDifference(
        note="The same document, written differently (spaces or the order of keys)."
    )


def _shown(change: JsonChange) -> BodyChange:
    match change.kind:
        case "moved":
            return BodyChange(change, _names(change.before), _names(change.after))
        case "added":
            return BodyChange(change, after=_json_text(change.after))
        case "removed":
            return BodyChange(change, before=_json_text(change.before))
    before = _changed_text(change.before)
    after = _changed_text(change.after)
    if len(before) + len(after) > _MAX_INLINE_CHARS or "\n" in before + after:
        return BodyChange(change, lines=text_diff(before, after))
    return BodyChange(change, before, after)


def _names(identities: Sequence[str]) -> str:
    """Write moved elements by name: `["name=ls", "name=cat"]` → "ls, cat"."""
    names = [str(identity).partition("=")[2] for identity in identities[:_MAX_MOVED_NAMES]]
    return ", ".join(names)


def _changed_text(value: Any) -> str:
    # A long string is compared by line, so it stays without quotes and escapes.
    if isinstance(value, str) and ("\n" in value or len(value) > _MAX_QUOTED_CHARS):
        return _cut(value)
    return _json_text(value)


def _json_text(value: Any) -> str:
    indent = 2 if isinstance(value, dict | list) else None
    try:
        return _cut(json.dumps(value, ensure_ascii=False, indent=indent))
    except RecursionError:
        return "(nested too deeply to be shown)"


def _cut(text: str) -> str:
    if len(text) <= MAX_VALUE_CHARS:
        return text
    return f"{text[:MAX_VALUE_CHARS]}… ({len(text)} characters)"
