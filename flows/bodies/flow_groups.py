"""Groups of flows whose bodies are loaded at once, with one query instead of one a flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from flows.models import Flow

GROUP_BYTES: Final = 8 * 1024 * 1024
"""Bodies of a group, as sent; a larger flow is alone."""


def groups_of(flows: Iterable[Flow]) -> Iterator[list[Flow]]:
    """Split flows, in their order, into groups whose bodies fit into memory together.

    Example: flows of 5, 2, 4 and 20 MB → [5, 2], [4], [20].
    """
    group: list[Flow] = []
    held_bytes = 0
    for flow in flows:
        size_bytes = flow.request_size_bytes + flow.response_size_bytes
        if group and held_bytes + size_bytes > GROUP_BYTES:
            yield group
            group, held_bytes = [], 0
        group.append(flow)
        held_bytes += size_bytes
    if group:
        yield group
