"""Indexing of ended flows: what each adds to the flow that it continues.

Works on flows whose column `searched` is unset, behind the linker and in small transactions: it
fills old records after an upgrade in the same way, and goes on where it stopped.
"""

from __future__ import annotations

import logging
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final, NamedTuple

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from flows.bodies.flow_groups import made_of
from flows.bodies.plain_bodies import PlainBodies
from flows.bodies.store import load_bodies
from flows.models import Flow, FlowLink, FlowParts, FlowText
from flows.reading.body_view import BodyView, side_body
from flows.search.body_parts import IDS, Part, is_of_message
from flows.search.flow_parts import FlowTexts, NextRequest, texts_of_flow, texts_of_next
from flows.search.stored_parts import pack_parts
from flows.sides import FlowSide
from flows.upsert import new_row, upsert

MAX_FLOW_CHARS: Final = 256 * 1024
"""Characters of one flow that are indexed: those that stand first."""
_RECENT: Final = timedelta(hours=1)
_KNOWN_TEXTS: Final = 100_000
"""Hashes of texts that are kept, eight bytes each; those in messages count twice."""
_FLOW_TEXTS: Final = 40
"""As many hashes would take the memory that a flow takes beside them."""
_COLUMNS: Final = (
    "state",
    "started_at",
    "is_websocket",
    "request_size_bytes",
    "response_size_bytes",
    "search_text",
    "searched",
    "indexed",
    "parts__headers",
    "parts__sides",
    "link__previous",
)
logger = logging.getLogger(__name__)


class _Known(NamedTuple):
    """Hashes of a flow's texts, first of those in the messages of its request.

    Sets of them take 1.4 KB for a flow of six texts, an array 0.2 KB.
    """

    hashes: array[int]
    message_count: int

    @classmethod
    def of(cls, in_messages: frozenset[int], texts: Iterable[int]) -> _Known:
        """Return the hashes of all texts, those in messages among them."""
        others = in_messages.union(texts) - in_messages
        return cls(array(_HASH_CODE, [*in_messages, *others]), len(in_messages))

    @property
    def texts(self) -> frozenset[int]:
        """All hashes."""
        return frozenset(self.hashes)

    @property
    def in_messages(self) -> frozenset[int]:
        """Those of texts in messages."""
        return frozenset(self.hashes[: self.message_count])


_HASH_CODE: Final = "q"
"""Type code of `array` for what `hash` returns: 64 bits with a sign."""
_NOTHING: Final = _Known(array(_HASH_CODE), 0)


class Indexer:
    """Maker of `FlowText` rows. Not thread-safe; knows the texts of the latest flows by hash.

    Args:
        bodies: those that were stored lately, if they are in memory.
    """

    def __init__(self, bodies: PlainBodies | None = None) -> None:
        self._bodies = bodies or PlainBodies()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._known_texts = 0

    def index_pending(self, limit: int) -> int:
        """Index some flows that are not indexed yet; return how many were looked at."""
        return self.index(_next_pending(limit))

    def index(self, flows: Sequence[Flow]) -> int:
        """Index flows in this order; return their number."""
        bases = _bases_of(flows)
        rows = made_of(
            flows, partial(self._rows, bases=bases), partial(self._unreadable, bases=bases)
        )
        ids = [flow.pk for flow in flows]
        with transaction.atomic():
            # Retention may have deleted some meanwhile. Locked, so that it waits with the others.
            kept = Flow.objects.select_for_update().filter(pk__in={*bases.values()} - {""})
            kept_bases = {"", *kept.values_list("pk", flat=True)}
            stored = set(Flow.objects.filter(pk__in=ids).values_list("pk", flat=True))
            made = [row for row in rows if row.flow_id in stored and row.base in kept_bases]
            FlowText.objects.filter(pk__in=ids).delete()
            upsert(made, ("flow_id",))
            # The texts have it from now on.
            done = Flow.objects.filter(pk__in=[row.flow_id for row in made])
            done.update(searched=True, search_text="")
        for row in rows:
            if row.base not in kept_bases:
                self._known_texts -= _size(self._known.pop(row.base, _NOTHING))
        return len(ids)

    def text_of(
        self,
        flow: Flow,
        base: str,
        sides: Mapping[str, FlowSide],
        view: Callable[[FlowSide], BodyView],
    ) -> FlowText | None:
        """Return the row of a flow that is not stored yet; None if its base is not known here."""
        if base and base not in self._known:
            return None
        return self._row(flow, base, texts_of_flow(flow, sides, view))

    def text_of_next(
        self,
        flow: Flow,
        base: str,
        request: NextRequest,
        sides: Mapping[str, FlowSide],
        view: Callable[[FlowSide], BodyView],
    ) -> FlowText | None:
        """Return the row of a flow that repeats all messages of its base; None if it has to be
        read completely.
        """
        known = self._known.get(base)
        texts = texts_of_next(request, sides, view) if known is not None else None
        if known is None or texts is None:
            return None
        return self._row(flow, base, texts, known.in_messages)

    def _rows(self, group: Sequence[Flow], bases: Mapping[str, str]) -> list[FlowText]:
        stored = [(flow, _sides(flow)) for flow in group]
        digests = [digest for _, sides in stored for digest in _digests(sides)]
        bodies = self._bodies.all_of(digests)
        if bodies is None:
            bodies = load_bodies(digests)
        view = partial(side_body, bodies=bodies)
        return [
            self._row(flow, bases[flow.pk], texts_of_flow(flow, sides, view))
            for flow, sides in stored
        ]

    def _unreadable(self, flow: Flow, bases: Mapping[str, str]) -> FlowText:
        logger.exception("Flow %s could not be indexed", flow.pk)
        self._remember(flow.pk, FlowTexts([], [], []))
        return FlowText(flow_id=flow.pk, base=bases[flow.pk], parts=b"")

    def _row(
        self,
        flow: Flow,
        base: str,
        texts: FlowTexts,
        repeated: frozenset[int] = frozenset(),
    ) -> FlowText:
        known = self._hashes(base) if base else frozenset()
        self._remember(flow.pk, texts, repeated)
        packed = pack_parts(new_parts(texts.parts, known))
        return new_row(FlowText, {"flow_id": flow.pk, "base": base, "parts": packed})

    def _hashes(self, flow_id: str) -> frozenset[int]:
        """Return the hashes of the texts of an earlier flow, which is read again after a start."""
        if flow_id not in self._known:
            flow = Flow.objects.select_related("parts").get(pk=flow_id)
            self._remember(flow_id, _texts(flow))
        return self._known[flow_id].texts

    def _remember(
        self, flow_id: str, texts: FlowTexts, repeated: frozenset[int] = frozenset()
    ) -> None:
        """Keep the hashes of a flow's texts. `repeated`: those of messages that were not read."""
        self._known_texts -= _size(self._known.pop(flow_id, _NOTHING))
        parts = texts.parts
        in_messages = repeated.union(_hashes(filter(is_of_message, texts.request)))
        known = _Known.of(in_messages, _hashes(parts))
        self._known[flow_id] = known
        self._known_texts += _size(known)
        while self._known_texts > _KNOWN_TEXTS and len(self._known) > 1:
            _, oldest = self._known.popitem(last=False)
            self._known_texts -= _size(oldest)


def _hashes(parts: Iterable[Part]) -> list[int]:
    return [hash(part.text) for part in parts]


def _size(known: _Known) -> int:
    """Return the memory of a flow, in hashes; 0 for one that is not kept."""
    if known is _NOTHING:
        return 0
    return _FLOW_TEXTS + len(known.hashes) + known.message_count


def new_parts(parts: Iterable[Part], known: frozenset[int]) -> list[Part]:
    """Return the parts whose text is not known, each text once, up to `MAX_FLOW_CHARS`.

    Ids, which are many and short, become one part.
    """
    seen: set[int] = set(known)
    found: list[Part] = []
    ids: list[str] = []
    room = MAX_FLOW_CHARS
    for part in parts:
        key = hash(part.text)
        if not part.text or key in seen or room <= 0:
            continue
        seen.add(key)
        text = part.text[:room]
        room -= len(text)
        if part.where == IDS:
            ids.append(text)
        else:
            found.append(Part(part.where, text))
    if ids:
        found.append(Part(IDS, "\n".join(ids)))
    return found


def waiting() -> QuerySet[Flow]:
    """Return the ended flows that are not indexed yet."""
    return Flow.objects.filter(searched__isnull=True).exclude(state=Flow.State.LIVE)


def index_again(deleted: Sequence[str]) -> None:
    """Have the flows indexed again whose base is deleted, so that they keep what they repeat.

    Call it in the transaction that deletes, before the texts go.
    """
    repeating = FlowText.objects.filter(base__in=deleted).values("pk")
    Flow.objects.filter(pk__in=repeating).exclude(pk__in=deleted).update(searched=None)


def _next_pending(limit: int) -> list[Flow]:
    """Return linked flows, the oldest first; those of the last hour before all."""
    linked = waiting().filter(indexed__isnull=False).order_by("started_at")
    # Of a flow's many columns those that are read here; names are read with the segment.
    linked = linked.select_related("parts", "link").only(*_COLUMNS)
    recent = linked.filter(started_at__gte=timezone.now() - _RECENT)
    return list(recent[:limit]) or list(linked[:limit])


def _texts(flow: Flow) -> FlowTexts:
    sides = _sides(flow)
    view = partial(side_body, bodies=load_bodies(_digests(sides)))
    return texts_of_flow(flow, sides, view)


def _sides(flow: Flow) -> dict[str, FlowSide]:
    parts: FlowParts | None = getattr(flow, "parts", None)
    return parts.by_side() if parts else {}


def _digests(sides: Mapping[str, FlowSide]) -> Iterator[str]:
    return (side.body_digest for side in sides.values())


def _bases_of(flows: Sequence[Flow]) -> dict[str, str]:
    """Return by id the flow that each continues; "" if it is not stored any more."""
    previous: dict[str, str] = {}
    for flow in flows:
        # A flow that is no model call has no link.
        link: FlowLink | None = getattr(flow, "link", None)
        previous[flow.pk] = link.previous if link else ""
    wanted = set(previous.values()) - {""}
    stored = set(Flow.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    bases: dict[str, str] = {}
    for flow_id, base in previous.items():
        bases[flow_id] = base if base in stored else ""
    return bases
