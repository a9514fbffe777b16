"""Any two flows side by side: their requests as sent and as forwarded, and their answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from flows.bodies.complete_flow import CompleteFlow
from flows.compare.diff import JsonChange
from flows.compare.request_change import RequestChange, compare_requests
from flows.display.units import plural
from flows.reading.body_view import BodyView, body_view
from flows.sides import FlowSide, header

PARTS: Final = {
    "client": "As the clients sent them",
    "forwarded": "As they were forwarded",
    "answer": "Answers",
}
OWN_HEADER: Final = "x-ccproxy-flow"
"""The proxy's own: it names the flow, so it always differs."""
_SIDES: Final = {
    "client": ("client",),
    "forwarded": ("forwarded",),
    "answer": ("delivered", "upstream"),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One part of two flows compared; no `change` where one of them has no such part."""

    part: str
    change: RequestChange | None
    note: str = ""


def compare_flows(before: CompleteFlow, after: CompleteFlow, part: str) -> Pair:
    """Compare one part, a name of `PARTS`.

    An answer that was streamed is compared by what it says.
    """
    sides = [flow.side(*_SIDES[part]) for flow in (before, after)]
    old, new = sides
    if old is None or new is None:
        missing = "Neither flow has" if old is new else "One of the flows has"
        return Pair(
            part, None, f"{missing} {'an answer' if part == 'answer' else 'such a request'}."
        )
    lost = [
        flow
        for flow, side in zip((before, after), (old, new), strict=True)
        if flow.stored(side) is None
    ]
    same = not lost and old.body_digest == new.body_digest
    views = (
        (None, None)
        if same or lost
        else _views(before, old, after, new, is_answer=part == "answer")
    )
    headers = (
        [line for line in side.headers if line[0].lower() != OWN_HEADER] for side in (old, new)
    )
    change = compare_requests(
        urls=(_line(old), _line(new)), headers=(next(headers), next(headers)), bodies=views
    )
    return Pair(
        part, change, "Not both bodies are stored, so only heads are compared." if lost else ""
    )


def _line(side: FlowSide) -> str:
    if side.status_code is not None:
        return f"{side.status_code} {side.reason}".strip()
    return f"{side.method} {side.url}"


def _views(
    before: CompleteFlow, old: FlowSide, after: CompleteFlow, new: FlowSide, *, is_answer: bool
) -> tuple[BodyView | None, BodyView | None]:
    views = [
        body_view(side.side, flow.plain(side), header(side.headers, "content-type"))
        for flow, side in ((before, old), (after, new))
    ]
    if is_answer and "events" in (views[0].kind, views[1].kind):
        views = [_said(view) for view in views]
    return (None, None) if views[0].plain == views[1].plain else (views[0], views[1])


def _said(view: BodyView) -> BodyView:
    """The readable part of an answer as text; whatever cannot be read stays as it is."""
    pieces = view.answer()
    if not pieces:
        return view
    text = "\n".join(f"{kind}:\n{text}\n" for kind, text in pieces)
    return BodyView(view.source, "text", view.size_bytes, text.encode("utf-8", "replace"))


def in_words(pair: Pair) -> str:
    """How much differs, in a few words."""
    change = pair.change
    if change is None:
        return pair.note
    if change.nothing:
        return "the same"
    places = len(change.body) + change.cut
    lines = sum(line.sign in "+-" for line in change.body_lines)
    words = [plural(len(change.headers), "header")] if change.headers else []
    words += [f"{plural(places, 'place')} of the body"] if places else []
    words += (
        [f"{plural(lines, 'line')} of the body"]
        if lines
        else ["the body"]
        if change.body_note and not places
        else []
    )
    return f"different in {', '.join([*(['the first line'] if change.urls else []), *words])}"


def pair_json(before: CompleteFlow, after: CompleteFlow) -> dict[str, Any]:
    """All parts for programs."""
    parts = {}
    for part in PARTS:
        pair = compare_flows(before, after, part)
        parts[part] = {
            "note": pair.note,
            "identical": None,
            **(_change_json(pair.change) if pair.change else {}),
        }
    return {"from": before.flow.pk, "to": after.flow.pk, "parts": parts}


def _change_json(change: RequestChange) -> dict[str, Any]:
    return {
        "identical": change.nothing,
        "first_line": list(change.urls) if change.urls else None,
        "headers": [asdict(line) for line in change.headers],
        "body": [_place(item.change) for item in change.body],
        "body_lines": [line.sign + line.text for line in change.body_lines],
        "body_note": change.body_note,
        "left_out": change.cut,
    }


def _place(change: JsonChange) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "path": change.path,
        "before": change.before,
        "after": change.after,
    }
