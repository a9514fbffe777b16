"""`ccproxy flows list` without a choice of flows. No Django: most lists are such ones."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence


def is_plain(options: Namespace, default_jq_filters: Sequence[str]) -> bool:
    """Return True when the newest flows are asked for, as a table and without any filter."""
    filters = [*default_jq_filters, *options.jq]
    chosen = options.flows or options.filter or options.search
    return not (options.json or options.follow or chosen or filters)
