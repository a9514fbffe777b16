"""Unified diffs of bodies as text, for the shell and for programs.

Pure but for what it is given.
"""

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


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two texts compared.

    `lines` are a unified diff with its two label lines, empty when they are the same.
    """

    what: str
    before: str
    after: str
    lines: list[str]

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return not self.lines

    def as_json(self) -> dict[str, Any]:
        """For programs."""
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
    """A unified diff of lines; what could steer a terminal is spelled out."""
    old, new = before[:MAX_LINES], after[:MAX_LINES]
    found = [
        printable(line) for line in unified_diff(old, new, *labels, n=CONTEXT_LINES, lineterm="")
    ]
    if not found and (len(before), len(after)) != (len(old), len(new)):
        found = [f"(the first {MAX_LINES} lines are the same; the rest was not compared)"]
    return Comparison(what, *labels, found)


def body_lines(flow: CompleteFlow, *sides: str) -> list[str]:
    """A side's body as lines: JSON is pretty-printed, a binary body is one line that tells its size
    and digest.
    """
    side = flow.side(*sides)
    if side is None:
        return []
    if flow.stored(side) is None:
        return [f"(the body, {size(side.body_size_bytes)}, was not kept)"]
    view = body_view(side.side, flow.plain(side), header(side.headers, "content-type"))
    if view.kind == "json":
        try:
            return json.dumps(view.json.value, indent=2, ensure_ascii=False).split("\n")
        except RecursionError:
            pass
    if view.kind == "binary":
        return [f"(binary, {size(len(view.plain))}, {side.body_digest[:16]})"]
    return view.plain.decode("utf-8", "replace").splitlines()


def compare_neighbours(flows: Iterator[CompleteFlow]) -> Iterator[Comparison]:
    """Each flow's forwarded request body against the one before it; only two flows are held at a
    time.
    """
    for before, after in pairwise(flows):
        labels = (f"flow:{short(before)}", f"flow:{short(after)}")
        yield compare_texts(
            "request",
            labels,
            *(body_lines(flow, "forwarded", "client") for flow in (before, after)),
        )


def compare_sides(flow: CompleteFlow, *, headers: bool = False) -> list[Comparison]:
    """What the proxy made of one flow: address, request body and answer body, and headers when they
    are wanted.
    """
    name = short(flow)
    request, answer = (
        (f"client:{name}", f"forwarded:{name}"),
        (f"provider:{name}", f"client:{name}"),
    )
    client, forwarded = flow.side("client"), flow.side("forwarded", "client")
    urls = [[side.url] if side else [] for side in (client, forwarded)]
    found = [compare_texts("address", request, *urls)]
    if headers:
        found.append(
            compare_texts(
                "request headers",
                request,
                *(header_lines(flow, n) for n in ("client", "forwarded")),
            )
        )
    found.append(
        compare_texts(
            "request", request, body_lines(flow, "client"), body_lines(flow, "forwarded", "client")
        )
    )
    if headers:
        found.append(
            compare_texts(
                "response headers",
                answer,
                *(header_lines(flow, n) for n in ("upstream", "delivered")),
            )
        )
    found.append(
        compare_texts(
            "response",
            answer,
            body_lines(flow, "upstream"),
            body_lines(flow, "delivered", "upstream"),
        )
    )
    return found


def header_lines(flow: CompleteFlow, side_name: str) -> list[str]:
    """A side's headers, one a line."""
    side = flow.side(side_name)
    return [f"{name}: {value}" for name, value in side.headers] if side else []


def short(flow: CompleteFlow) -> str:
    """The id as people write it."""
    return flow.flow.pk[:SHORT_ID_CHARS]
