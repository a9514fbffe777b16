"""Bodies go when nothing refers to them, and not before: no flow, no message, no other body."""

from __future__ import annotations

from random import Random

import pytest
from django.db import connection

from flows.bodies import references
from flows.bodies.references import delete_refs, delete_unreferenced, refs_of, stored_of
from flows.models import BodyRef, Flow, FlowBody, WebSocketMessage
from flows.redaction.redactor import Redactor
from flows.writer.batch import write_batch
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.flows.records import flow, side

pytestmark = pytest.mark.django_db
Bases = dict[str, str | None]


def _bodies(random: Random) -> Bases:
    """Store bodies, some of which have an earlier one as their base; return the bases."""
    bases: Bases = {}
    for number in range(24):
        base = random.choice([*bases, None, None])
        digest = f"{number:03d}"
        FlowBody.objects.create(digest=digest, size_bytes=1, blob=b"b", base_id=base)
        bases[digest] = base
    return bases


def _refer(random: Random, bases: Bases) -> set[str]:
    """Let a flow and a message refer to some bodies; return these."""
    Flow.objects.create(id="f", started_at="2026-01-01T00:00:00Z")
    by_flow = random.sample(list(bases), 3)
    BodyRef.objects.bulk_create(BodyRef(flow_id="f", digest=digest) for digest in by_flow)
    by_message = random.choice(list(bases))
    WebSocketMessage.objects.create(
        flow_id="f",
        seq=0,
        at_ms=0,
        from_client=True,
        is_text=True,
        size_bytes=1,
        body_digest=by_message,
    )
    return {*by_flow, by_message}


def _left(bases: Bases, referred: set[str], asked: set[str]) -> set[str]:
    """Return what must stay, one body after the other: slow and plain."""
    left = dict(bases)
    looked_at = set(asked)
    while True:
        needed = referred | set(left.values())
        gone = {digest for digest in looked_at if digest in left and digest not in needed}
        if not gone:
            return set(left)
        for digest in gone:
            base = left.pop(digest)
            looked_at |= {base} if base else set()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("rows", [2, 500])
def test_what_nothing_refers_to_goes_with_its_bases(
    seed: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "_ROWS", rows)
    random = Random(seed)
    bases = _bodies(random)
    referred = _refer(random, bases)
    asked = set(random.sample(list(bases), 10))
    expected = _left(bases, referred, asked)
    deleted = delete_unreferenced([*asked, "", "never-stored"])
    assert set(FlowBody.objects.values_list("digest", flat=True)) == expected
    assert deleted == len(bases) - len(expected)
    connection.check_constraints()


def test_references_are_read_and_deleted_by_flow() -> None:
    builder = RowBuilder(Redactor(SecretRegistry()))
    write_batch([builder.build(flow("a")), builder.build(flow("b"))])
    rows = set(BodyRef.objects.values_list("flow_id", "digest"))
    assert refs_of({"a", "b", "c"}) == rows
    of_a = refs_of({"a"})
    assert of_a == {ref for ref in rows if ref[0] == "a"}
    delete_refs(of_a)
    assert refs_of({"a", "b"}) == rows - of_a
    assert refs_of(()) == set()


def test_stored_bodies_are_told_from_others() -> None:
    FlowBody.objects.create(digest="known", size_bytes=1, blob=b"b")
    assert stored_of(["known", "unknown"]) == {"known"}
    assert stored_of([]) == set()


def test_the_body_of_a_stream_gives_way_to_the_longer_one() -> None:
    builder = RowBuilder(Redactor(SecretRegistry()))
    question = side("client", b"the question")
    half = (question, side("upstream", b"half"))
    write_batch([builder.build(flow("s", state="live", finished_at=None, sides=half))])
    whole = (question, side("upstream", b"half and the rest"))
    write_batch([builder.build(flow("s", sides=whole))])
    kept = {digest for _, digest in refs_of({"s"})}
    assert len(kept) == 2
    assert set(FlowBody.objects.values_list("digest", flat=True)) == kept
