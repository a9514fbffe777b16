"""Retention by age, count and bytes; clearing; and nothing left behind."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from flows.bodies.store import BodyMissing, load_bodies, load_body, pack, unpack
from flows.models import BodyRef, Flow, FlowBody, FlowParts
from flows.queries.selectors import sides_of
from flows.redaction.redactor import Redactor
from flows.services import (
    ChunkSizes,
    clear_everything,
    clear_flows,
    clear_steps,
    mark_interrupted,
    pin,
)
from flows.writer import retention
from flows.writer.batch import write_batch
from flows.writer.retention import prune_chunk, sweep_chunk, used_bytes
from flows.writer.retention_policy import RetentionPolicy
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.flows.records import EPOCH, flow, live, side
from tests.parts import all_sides, put_parts
from tests.patience import PATIENCE_S

NOW = datetime.fromtimestamp(EPOCH, UTC)
NO_LIMIT = RetentionPolicy(max_age_days=None, max_flows=None, max_bytes=None)
DAY_S = 86_400.0


@pytest.fixture
def stored(db: None) -> list[str]:
    """Ten flows, one a day, the oldest first; each has a body of its own and one that all share."""
    builder = RowBuilder(Redactor(SecretRegistry()))
    shared = side(
        "client", b"the same question, every day of the week, asked again and again and again"
    )
    for age in range(10):
        own = side("delivered", os.urandom(2000))
        write_batch(
            [builder.build(flow(f"day-{age}", started_at=EPOCH - age * DAY_S, sides=(shared, own)))]
        )
    return [f"day-{age}" for age in reversed(range(10))]


def ids() -> set[str]:
    return set(Flow.objects.values_list("id", flat=True))


def prune_all(policy: RetentionPolicy, limit: int = 200) -> int:
    total = 0
    while deleted := prune_chunk(policy, NOW, limit):
        total += deleted
    return total


def test_no_limit_deletes_nothing(stored: list[str]) -> None:
    assert prune_all(NO_LIMIT) == 0
    assert ids() == set(stored)


def test_by_age(stored: list[str]) -> None:
    assert prune_all(RetentionPolicy(max_age_days=3.5, max_flows=None, max_bytes=None)) == 6
    assert ids() == set(stored[6:])
    assert FlowBody.objects.count() == 5
    assert (FlowParts.objects.count(), BodyRef.objects.count()) == (4, 8)


def test_by_count_in_chunks_the_oldest_first(stored: list[str]) -> None:
    policy = RetentionPolicy(max_age_days=None, max_flows=3, max_bytes=None)
    assert prune_chunk(policy, NOW, 4) == 4
    assert ids() == set(stored[4:])
    assert prune_all(policy, 4) == 3
    assert ids() == set(stored[7:])


def test_by_bytes(stored: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "used_bytes", lambda: FlowBody.objects.count() * 2000)
    prune_all(RetentionPolicy(max_age_days=None, max_flows=None, max_bytes=9000))
    assert ids() == set(stored[7:])


def test_pinned_and_running_flows_stay(stored: list[str]) -> None:
    assert pin(Flow.objects.filter(pk=stored[0])) == 1
    Flow.objects.filter(pk=stored[1]).update(state="live")
    prune_all(RetentionPolicy(max_age_days=1, max_flows=0, max_bytes=0))
    assert ids() == {stored[0], stored[1]}
    assert load_body(sides_of(stored[0])["delivered"].body_digest)


def test_a_shared_body_goes_with_its_last_flow(stored: list[str]) -> None:
    digest = all_sides("client")[0].body_digest
    clear_flows(Flow.objects.exclude(pk=stored[0]))
    assert FlowBody.objects.filter(pk=digest).exists()
    clear_flows(Flow.objects.all())
    assert FlowBody.objects.count() == 0


def test_clear_keeps_pinned_flows_unless_told(stored: list[str]) -> None:
    pin(Flow.objects.filter(pk=stored[0]))
    assert clear_flows(Flow.objects.filter(pk__in=stored[:3])) == 2
    assert clear_flows(Flow.objects.order_by("-started_at")[:2]) == 2
    assert ids() == {stored[0], *stored[3:8]}
    assert clear_flows(Flow.objects.all(), keep_pinned=False) == 6
    assert ids() == set()


def test_bodies_left_behind_are_swept(stored: list[str]) -> None:
    for flow_id in stored[:4]:
        put_parts(flow_id, [sides_of(flow_id)["client"]])
    after, rounds = "", 0
    while (after := sweep_chunk(after, 3)) or not rounds:
        rounds += 1
    assert FlowBody.objects.count() == 7
    assert rounds == 3


def test_interrupted_flows(db: None) -> None:
    builder = RowBuilder(Redactor(SecretRegistry()))
    write_batch(
        [
            builder.build(live("before", started_at=EPOCH - 1)),
            builder.build(live("after", started_at=EPOCH)),
        ]
    )
    assert mark_interrupted(NOW) == 1
    assert Flow.objects.get(pk="before").state == "error"
    assert Flow.objects.get(pk="after").state == "live"


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps its own house")
@pytest.mark.django_db(transaction=True)
def test_the_file_shrinks() -> None:
    retention.make_shrinkable()
    builder = RowBuilder(Redactor(SecretRegistry()))
    write_batch([builder.build(flow(sides=(side("client", os.urandom(3_000_000)),)))])
    full = used_bytes()
    assert full > 3_000_000
    prune_all(RetentionPolicy(max_age_days=None, max_flows=0, max_bytes=None))
    assert used_bytes() < full - 2_900_000
    while retention.reclaim_chunk(spare_pages=10):
        pass
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA freelist_count")
        assert cursor.fetchone()[0] <= 10


@pytest.mark.parametrize("data", [b"", b"tiny", b"x" * 64, b"text " * 1000, os.urandom(1000)])
def test_bodies_come_back_as_they_were(data: bytes) -> None:
    packed = pack(data)
    assert unpack(packed.encoding, packed.size_bytes, packed.blob) == data
    assert len(packed.blob) <= len(data)


def test_missing_bodies_are_told(db: None) -> None:
    assert load_body("") == b""
    assert load_bodies(["", "0" * 64]) == {}
    with pytest.raises(BodyMissing, match="no longer stored"):
        load_body("0" * 64)


def test_the_writer_prunes_by_itself(transactional_db: None) -> None:
    from flows.writer.thread import FlowWriter
    from tests.flows.records import eventually

    old = datetime.now(UTC) - timedelta(days=40)
    Flow.objects.create(id="old", state="done", started_at=old, method="GET", path="/")
    policy = RetentionPolicy(max_age_days=30, max_flows=None, max_bytes=None)
    writer = FlowWriter(redactor=Redactor(SecretRegistry()), retention=policy)
    writer.start()
    eventually(lambda: not Flow.objects.exists())
    assert writer.close(PATIENCE_S)
    assert writer.stats().pruned == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL's columns")
def test_wide_columns_are_kept_as_they_are_read(db: None) -> None:
    asked = (
        "SELECT attstorage::text, attcompression::text FROM pg_attribute WHERE attrelid ="
        " %s::regclass AND attname = %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(asked, ["flows_flowbody", "blob"])
        assert cursor.fetchone()[0] == "e"
        cursor.execute(asked, ["flows_flow", "search_text"])
        assert cursor.fetchone()[1] == "l"


@pytest.mark.django_db(transaction=True)
def test_everything_goes_at_once_unless_something_is_pinned() -> None:
    builder = RowBuilder(Redactor(SecretRegistry()))
    write_batch([builder.build(flow(f"flow-{number}", session_id="s")) for number in range(3)])
    pin(Flow.objects.filter(pk="flow-1"))
    assert clear_everything() == 2
    assert ids() == {"flow-1"}
    assert clear_everything(keep_pinned=False) == 1
    assert [model.objects.count() for model in (FlowBody, FlowParts, BodyRef)] == [0, 0, 0]
    write_batch([builder.build(flow("after"))])
    assert load_body(sides_of("after")["client"].body_digest)


@pytest.mark.django_db
def test_many_flows_go_with_their_orphaned_bodies_alone(
    stored: list[str],
) -> None:
    sizes = ChunkSizes(rows=2, bodies=3, many_flows=3)
    pin(Flow.objects.filter(pk=stored[0]))
    assert list(clear_steps(stored[:7], sizes=sizes)) == [1, 2, 2, 1, 0, 0, 0]
    assert ids() == {stored[0], *stored[7:]}
    assert FlowBody.objects.count() == 5
