"""Any two flows side by side: requests as sent, requests as forwarded, and responses."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NamedTuple

from flows.bodies.complete_flow import CompleteFlow
from flows.compare.compared_request import ComparedRequest
from flows.compare.diff import JsonChange
from flows.compare.request_change import RequestChange, compare_requests
from flows.display.units import plural
from flows.reading.body_view import BodyView, body_view
from flows.sides import FlowSide, header

PARTS: Final = {
    "client": "As the clients sent them",
    "forwarded": "As they were forwarded",
    "answer": "Responses",
}
OWN_HEADER: Final = "x-ccproxy-flow"
"""The proxy's own header: it names the flow, so it always differs."""
_SIDES: Final = {
    "client": ("client",),
    "forwarded": ("forwarded",),
    "answer": ("delivered", "upstream"),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One part of two flows compared; no `change` if one of them has no such part."""

    part: str
    change: RequestChange | None
    note: str = ""


def compare_flows(before: CompleteFlow, after: CompleteFlow, part: str) -> Pair:
    """Compare one part, a name of `PARTS`.

    A streamed response is compared by its readable text.
    """
    old = before.side(*_SIDES[part])
    new = after.side(*_SIDES[part])
    if old is None or new is None:
        missing = "Neither flow has" if old is new else "One of the flows has"
        what = "a response" if part == "answer" else "such a request"
        return Pair(part, None, f"{missing} {what}.")

    old_request = ComparedRequest(_first_line(old), _compared_headers(old))
    new_request = ComparedRequest(_first_line(new), _compared_headers(new))
    note = ""
    if before.stored(old) is None or after.stored(new) is None:
        note = "Not both bodies are stored, so only headers are compared."
    # Equal digests are equal bodies, which need not be decoded.
    elif old.body_digest != new.body_digest:
        bodies = _bodies(_view(before, old), _view(after, new), is_answer=part == "answer")
        old_request = replace(old_request, body=bodies.before)
        new_request = replace(new_request, body=bodies.after)
    change = compare_requests(old_request, new_request)
    return Pair(part, change, note)


class _Bodies(NamedTuple):
    before: BodyView | None
    after: BodyView | None


def _bodies(before: BodyView, after: BodyView, *, is_answer: bool) -> _Bodies:
    """Return the bodies to compare; None for both if they are equal."""
    is_streamed = "events" in (before.kind, after.kind)
    if is_answer and is_streamed:
        before = _readable(before)
        after = _readable(after)
    if before.plain == after.plain:
        return _Bodies(None, None)
    return _Bodies(before, after)


def _first_line(side: FlowSide) -> str:
    if side.status_code is not None:
        return f"{side.status_code} {side.reason}".strip()
    return f"{side.method} {side.url}"


def _compared_headers(side: FlowSide) -> list[list[str]]:
    lines = []
    for name, value in side.headers:
        if name.lower() != OWN_HEADER:
            lines.append([name, value])
    return lines


def _view(flow: CompleteFlow, side: FlowSide) -> BodyView:
    content_type = header(side.headers, "content-type")
    return body_view(side.side, flow.plain(side), content_type)


def _readable(view: BodyView) -> BodyView:
    """Return the readable part of a response as text; an unreadable one stays unchanged."""
    pieces = view.answer()
    if not pieces:
        return view
    text = "\n".join(f"{kind}:\n{text}\n" for kind, text in pieces)
    return BodyView(view.source, "text", view.size_bytes, text.encode("utf-8", "replace"))


def in_words(pair: Pair) -> str:
    """Describe the differences in a few words: "different in 1 header, 3 places of the body"."""
    change = pair.change
    if change is None:
        return pair.note
    if change.nothing:
        return "the same"
    words = []
    if change.urls:
        words.append("the first line")
    if change.headers:
        words.append(plural(len(change.headers), "header"))
    changed_places = len(change.body) + change.cut
    changed_lines = [line for line in change.body_lines if line.sign in "+-"]
    if changed_places:
        words.append(f"{plural(changed_places, 'place')} of the body")
    if changed_lines:
        words.append(f"{plural(len(changed_lines), 'line')} of the body")
    elif change.body_note and not changed_places:
        words.append("the body")
    return f"different in {', '.join(words)}"


def pair_json(before: CompleteFlow, after: CompleteFlow) -> dict[str, Any]:
    """Return all parts for programs."""
    parts = {}
    for part in PARTS:
        pair = compare_flows(before, after, part)
        parts[part] = _part_json(pair)
    return {"from": before.flow.pk, "to": after.flow.pk, "parts": parts}


def _part_json(pair: Pair) -> dict[str, Any]:
    change = pair.change
    if change is None:
        return {"note": pair.note, "identical": None}
    return {
        "note": pair.note,
        "identical": change.nothing,
        "first_line": change.urls,
        "headers": [asdict(line) for line in change.headers],
        "body": [_body_json(item.change) for item in change.body],
        "body_lines": [line.sign + line.text for line in change.body_lines],
        "body_note": change.body_note,
        "left_out": change.cut,
    }


def _body_json(change: JsonChange) -> dict[str, Any]:
    # Not asdict, which would copy the values: they may be as large as the body.
    return {
        "kind": change.kind,
        "path": change.path,
        "before": change.before,
        "after": change.after,
    }
