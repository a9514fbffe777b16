"""One of two requests to compare: first line or address, headers, body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flows.compare.diff import Header
from flows.reading.body_view import BodyView


@dataclass(frozen=True, slots=True)
class ComparedRequest:
    """A request, or a response, as it takes part in a comparison.

    `body` is None on both sides if the bodies are equal, so that they need not be loaded.
    """

    url: str
    headers: Sequence[Header]
    body: BodyView | None = None
