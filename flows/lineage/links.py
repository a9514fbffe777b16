"""Reads of links: the place of a flow in its session."""

from __future__ import annotations

import logging
from typing import Final

from django.db import DatabaseError

from flows.lineage.linker import Linker, pending
from flows.models import Flow, FlowLink

_AT_ONCE: Final = 32
"""Earlier flows of the session that are linked together with one that a page asks for."""
logger = logging.getLogger(__name__)


def link_of(flow: Flow) -> FlowLink | None:
    """Return the link of a flow; None if it is running, or no call of a model.

    A flow that the recorder has not reached yet is linked now, with those before it.
    """
    if flow.state == Flow.State.LIVE:
        return None
    if flow.indexed is None:
        _link_now(flow)
    return FlowLink.objects.filter(pk=flow.pk).first()


def _link_now(flow: Flow) -> None:
    earlier = pending().filter(session_id=flow.session_id, started_at__lte=flow.started_at)
    if not flow.session_id:
        earlier = earlier.filter(provider=flow.provider, run_label=flow.run_label)
    newest = earlier.select_related("parts").order_by("-started_at", "-id")[:_AT_ONCE]
    try:
        Linker().link(list(reversed(newest)))
    except DatabaseError as exc:
        # The recorder does it as soon as the database takes it.
        logger.warning("Flow %s could not be linked now: %s", flow.pk, exc)
