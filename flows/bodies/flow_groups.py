"""Work on flows whose bodies are loaded for several at once, with one query instead of one each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from django.db import InterfaceError, OperationalError

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


def made_of[T](
    flows: Iterable[Flow],
    make: Callable[[Sequence[Flow]], list[T]],
    failed: Callable[[Flow], T],
) -> list[T]:
    """Make something of each flow: a group at once, or each alone if one of the group is damaged.

    Args:
        flows: in the order of the results.
        make: makes the results of a group; making one again gives the same.
        failed: gives the result of a damaged flow; called while its error is handled.

    Raises:
        InterfaceError, OperationalError: the database does not answer now.
    """
    made: list[T] = []
    for group in groups_of(flows):
        made += _of_group(group, make, failed)
    return made


def _of_group[T](
    group: Sequence[Flow],
    make: Callable[[Sequence[Flow]], list[T]],
    failed: Callable[[Flow], T],
) -> list[T]:
    try:
        return make(group)
    except (InterfaceError, OperationalError):
        raise
    except Exception:
        # A damaged flow must not keep the others from it.
        if len(group) == 1:
            return [failed(group[0])]
    alone: list[T] = []
    for flow in group:
        alone += _of_group([flow], make, failed)
    return alone
