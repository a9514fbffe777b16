"""`ccproxy flows list` without a choice of flows. No Django: most lists are such ones."""

from __future__ import annotations

from argparse import Namespace


def is_plain(options: Namespace, *, has_default_filters: bool) -> bool:
    """Return True when the newest flows are asked for, as a table and without any filter.

    Args:
        options: of the command line.
        has_default_filters: `flows.default_jq_filters` has some.
    """
    chosen = options.flows or options.filter or options.search or options.jq
    return not (options.json or options.follow or chosen or has_default_filters)
