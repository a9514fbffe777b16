"""Links and search texts of flows that the writer has in memory: written together with the flows.

A link depends on the earlier calls of its scope. So the writer's flows are linked here only while
no ended flow in the database waits for a link; else they wait there too, and `LinkThread` links
them in their order. Nothing is lost either way: a flow without a link or a text is one that waits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Final, NamedTuple

from django.db import InterfaceError, OperationalError

from flows.bodies.plain_bodies import PlainBodies
from flows.lineage.linker import Linker, Prompt, is_comparable
from flows.lineage.stored_flow import ReadFlow, StoredFlow, flow_of_texts
from flows.models import Flow, FlowLink, FlowText
from flows.search.flow_parts import NextRequest
from flows.search.indexer import Indexer
from flows.sides import PartTexts

WAIT_S: Final = 0.5
"""Time for the other thread to finish a look at the database; then the flows wait."""
_LOOKS: Final = 4
"""Looks at the database in a row, the last of which finds nothing, mostly."""
_LOOK_AFTER_S: Final = 10.0
"""Other processes import flows without a word to this one."""
_MAX_BYTES: Final = 64 * 1024
"""The texts of larger flows take milliseconds, so they wait for a pause of the traffic."""
logger = logging.getLogger(__name__)


class FreshFlow(NamedTuple):
    """An ended flow that is not written yet."""

    flow: Flow
    parts: PartTexts


class Addition(NamedTuple):
    """Rows that are written with a flow. `link`: None for one that is no prompt."""

    link: FlowLink | None
    text: FlowText | None
    """None for a flow whose texts are indexed later."""


type Additions = dict[str, Addition]
"""By the flow's id. A flow that is not in it has to wait."""


class FreshFlows:
    """Linker and indexer, shared by the writer and the thread that works on the database."""

    def __init__(self, bodies: PlainBodies | None = None) -> None:
        self.bodies = bodies or PlainBodies()
        self._linker = Linker()
        self._indexer = Indexer(self.bodies)
        self._working = Lock()
        self._state = Lock()
        self._is_caught_up = False
        # Grows with each batch that was written without its links.
        self._left = 0
        self._look_at = 0.0

    def additions_of(self, flows: Sequence[FreshFlow]) -> Additions:
        """Return what is written with ended flows, as far as it can be made now.

        Raises:
            InterfaceError, OperationalError: the database does not answer now.
        """
        if not flows or not self._is_caught_up or not self._working.acquire(timeout=WAIT_S):
            return {}
        try:
            return self._additions_of(sorted(flows, key=_begin))
        finally:
            self._working.release()

    @property
    def is_caught_up(self) -> bool:
        """No ended flow waits for a link, as far as this process knows."""
        return self._is_caught_up

    def left(self) -> None:
        """Note that ended flows were written without their links."""
        with self._state:
            self._left += 1
            self._is_caught_up = False

    def link_waiting(self, limit: int) -> int:
        """Link some flows of the database; return how many were looked at.

        Looks again for flows that were written meanwhile: the writer makes no links as long as
        any flow waits for its own, so that beside traffic they would not end.
        """
        if self._is_caught_up and time.monotonic() < self._look_at:
            return 0
        total = 0
        with self._working:
            for _ in range(_LOOKS):
                left = self._left
                count = self._linker.link_pending(limit)
                total += count
                with self._state:
                    # None waits, unless the writer has left some since this looked.
                    self._is_caught_up = not count and left == self._left
                if self._is_caught_up or count >= limit:
                    break
        self._look_at = time.monotonic() + _LOOK_AFTER_S
        return total

    def index_waiting(self, limit: int) -> int:
        """Index some flows of the database; return how many were looked at."""
        with self._working:
            return self._indexer.index_pending(limit)

    def _additions_of(self, flows: Sequence[FreshFlow]) -> Additions:
        found: Additions = {}
        # A break is described by the earlier prompt, which may be in this batch as well.
        unwritten: dict[str, Prompt] = {}
        for flow, parts in flows:
            stored = flow_of_texts(flow, parts)
            bodies = self.bodies.all_of(stored.digests)
            if bodies is None:
                # The later ones wait with it: they may go on from it.
                break
            try:
                prompt = Prompt(flow, ReadFlow(stored, bodies))
                found[flow.pk] = self._addition(stored, prompt, unwritten)
                unwritten[flow.pk] = prompt
            except (InterfaceError, OperationalError):
                raise
            except Exception:
                # A damaged flow must not keep the others from it.
                logger.exception("Flow %s could not be linked", flow.pk)
                found[flow.pk] = Addition(None, None)
        return found

    def _addition(
        self, stored: StoredFlow, prompt: Prompt, unwritten: Mapping[str, Prompt]
    ) -> Addition:
        flow, read = prompt
        link = self._linker.link_of(prompt, unwritten) if is_comparable(flow) else None
        return Addition(link, self._text(stored, read, link.previous if link else ""))

    def _text(self, stored: StoredFlow, read: ReadFlow, base: str) -> FlowText | None:
        """Return the texts of a flow that goes on from `base`; None where they take long."""
        flow, sides, repeated = stored.flow, stored.sides, read.repeated
        # Messages of a websocket are read from the database.
        if flow.is_websocket or flow.response_size_bytes > _MAX_BYTES:
            return None
        text: FlowText | None = None
        if repeated is not None and repeated.is_all and repeated.flow_id == base:
            added = NextRequest(repeated.body, repeated.message_count)
            text = self._indexer.text_of_next(flow, base, added, sides, read.view)
        if text is None and flow.request_size_bytes + flow.response_size_bytes <= _MAX_BYTES:
            text = self._indexer.text_of(flow, base, sides, read.view)
        return text


def _begin(fresh: FreshFlow) -> tuple[float, str]:
    return fresh.flow.started_at.timestamp(), fresh.flow.pk
