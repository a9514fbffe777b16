"""Unified diffs of bodies as text, for the shell and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from itertools import pairwise
from typing import Any, Final

from flows.bodies.complete_flow import CompleteFlow
from flows.display.safe_text import printable
from flows.display.units import size
from flows.reading.body_view import body_view
from flows.sides import header

MAX_LINES: Final = 50_000
CONTEXT_LINES: Final = 3
SHORT_ID_CHARS: Final = 8
_SHOWN_DIGEST_CHARS: Final = 16


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two texts compared.

    `lines` are a unified diff with its two label lines, empty when the texts are equal.
    """

    what: str
    before: str
    after: str
    lines: list[str]

    @property
    def identical(self) -> bool:
        """True if nothing differs."""
        return not self.lines

    def as_json(self) -> dict[str, Any]:
        """Return the comparison for programs."""
        return {
            "what": self.what,
            "from": self.before,
            "to": self.after,
            "identical": self.identical,
            "diff": self.lines,
        }


def compare_texts(
    what: str, labels: tuple[str, str], before: Sequence[str], after: Sequence[str]
) -> Comparison:
    """Compare lines; control characters, which could steer a terminal, are escaped."""
    old = before[:MAX_LINES]
    new = after[:MAX_LINES]
    diff = unified_diff(old, new, *labels, n=CONTEXT_LINES, lineterm="")
    lines = [printable(line) for line in diff]
    longest = max(len(before), len(after))
    if longest > MAX_LINES and not lines:
        lines = [f"(the first {MAX_LINES} lines are the same; the rest was not compared)"]
    return Comparison(what, *labels, lines)


def body_lines(flow: CompleteFlow, *sides: str) -> list[str]:
    """Return the body of the first of these sides as lines.

    JSON is pretty-printed; a binary body is one line with its size and digest.
    """
    side = flow.side(*sides)
    if side is None:
        return []
    if flow.stored(side) is None:
        return [f"(the body, {size(side.body_size_bytes)}, was not kept)"]
    view = body_view(side.side, flow.plain(side), header(side.headers, "content-type"))
    if view.kind == "binary":
        digest = side.body_digest[:_SHOWN_DIGEST_CHARS]
        return [f"(binary, {size(len(view.plain))}, {digest})"]
    if view.kind == "json":
        try:
            return json.dumps(view.json.value, indent=2, ensure_ascii=False).split("\n")
        except RecursionError:
            # Nested too deeply for json, so it is compared as text.
            pass
    return view.plain.decode("utf-8", "replace").splitlines()


def compare_neighbours(flows: Iterator[CompleteFlow]) -> Iterator[Comparison]:
    """Compare each flow's forwarded request body with the one before it.

    Only two flows are in memory at a time.
    """
    for before, after in pairwise(flows):
        labels = (f"flow:{short(before)}", f"flow:{short(after)}")
        yield compare_texts("request", labels, _request_lines(before), _request_lines(after))


def compare_sides(flow: CompleteFlow, *, headers: bool = False) -> list[Comparison]:
    """Compare what one flow received and sent: address, bodies, and with `headers` the headers."""
    flow_id = short(flow)
    request_labels = (f"client:{flow_id}", f"forwarded:{flow_id}")
    response_labels = (f"provider:{flow_id}", f"client:{flow_id}")

    sent_url = _url_lines(flow, "client")
    forwarded_url = _url_lines(flow, "forwarded", "client")
    comparisons = [compare_texts("address", request_labels, sent_url, forwarded_url)]
    if headers:
        sent = header_lines(flow, "client")
        forwarded = header_lines(flow, "forwarded")
        comparisons.append(compare_texts("request headers", request_labels, sent, forwarded))
    client_body = body_lines(flow, "client")
    comparisons.append(compare_texts("request", request_labels, client_body, _request_lines(flow)))

    if headers:
        received = header_lines(flow, "upstream")
        delivered = header_lines(flow, "delivered")
        comparisons.append(compare_texts("response headers", response_labels, received, delivered))
    upstream_body = body_lines(flow, "upstream")
    delivered_body = body_lines(flow, "delivered", "upstream")
    comparisons.append(compare_texts("response", response_labels, upstream_body, delivered_body))
    return comparisons


def _request_lines(flow: CompleteFlow) -> list[str]:
    return body_lines(flow, "forwarded", "client")


def _url_lines(flow: CompleteFlow, *sides: str) -> list[str]:
    side = flow.side(*sides)
    return [side.url] if side else []


def header_lines(flow: CompleteFlow, side_name: str) -> list[str]:
    """Return a side's headers, one a line."""
    side = flow.side(side_name)
    if side is None:
        return []
    return [f"{name}: {value}" for name, value in side.headers]


def short(flow: CompleteFlow) -> str:
    """Return the start of the id, as people write it."""
    return flow.flow.pk[:SHORT_ID_CHARS]
