"""Bodies stored as additions to others: exact, small, and never without what they build on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.bodies.delta_chain import DeltaChains
from flows.bodies.packed_body import PackedBody, digest_of, unpack
from flows.bodies.packer import Packer
from flows.bodies.recent_bodies import RecentBodies
from flows.bodies.store import load_bodies, load_body
from flows.models import BodyRef, Flow, FlowBody
from flows.queries.selectors import sides_of, traces_of
from flows.record import WebSocketRecord
from flows.redaction.redactor import Redactor
from flows.services import clear_flows
from flows.writer.batch import write_batch
from flows.writer.retention import sweep_chunk
from flows.writer.rows.flow_rows import FlowRows
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.flows.agent_session import Turn, made_up, record, session
from tests.flows.records import side
from tests.parts import all_sides, change_sides

START_BYTES = 60_000


@pytest.fixture(scope="module")
def turns() -> list[Turn]:
    return list(session(made_up(), 30, START_BYTES))


def builder(registry: SecretRegistry | None = None) -> RowBuilder:
    return RowBuilder(Redactor(registry or SecretRegistry()))


def store(turns: list[Turn], **changes: object) -> None:
    """One transaction a turn, as an agent's turns come."""
    rows = builder()
    for number, turn in enumerate(turns):
        write_batch([rows.build(record(number, turn, **changes))])  # type: ignore[arg-type]


def stored(flow_id: str) -> dict[str, bytes]:
    return {name: load_body(side.body_digest) for name, side in sides_of(flow_id).items()}


def depth(body: FlowBody) -> int:
    return 0 if body.base is None else 1 + depth(body.base)


def plain(packed: PackedBody) -> bytes:
    """The body of a packed one, unpacked from what it holds itself."""
    base = plain(packed.base) if packed.base else b""
    return unpack(packed.encoding, packed.size_bytes, packed.blob, base)


@pytest.mark.django_db
def test_a_session_is_stored_in_a_fraction_and_comes_back_exactly(turns: list[Turn]) -> None:
    store(turns, rewritten=True)
    for number, turn in enumerate(turns):
        sides = stored(f"turn-{number:04}")
        assert (sides["client"], sides["delivered"]) == (turn.request, turn.answer)
        assert b'"user_id": "u-%d"' % number in sides["forwarded"]
        [hook] = traces_of(f"turn-{number:04}")
        assert load_bodies([hook.body_before, hook.body_after]) == {
            hook.body_before: sides["client"],
            hook.body_after: sides["forwarded"],
        }
    requests = FlowBody.objects.filter(size_bytes__gte=START_BYTES)
    assert requests.count() == 60
    raw = sum(body.size_bytes for body in requests)
    assert sum(len(body.blob) for body in requests) < raw / 30
    assert max(depth(body) for body in requests) <= 3


@pytest.mark.django_db
def test_a_body_is_read_in_one_query(turns: list[Turn], django_assert_num_queries) -> None:
    store(turns[:6])
    digests = [side.body_digest for side in all_sides("client")]
    with django_assert_num_queries(1):
        assert len(load_bodies(digests)) == 6


@pytest.mark.django_db
def test_what_others_build_on_stays_until_they_are_gone(turns: list[Turn]) -> None:
    store(turns)
    clear_flows(Flow.objects.exclude(pk="turn-0029"))
    assert stored("turn-0029")["client"] == turns[29].request
    left = FlowBody.objects.filter(size_bytes__gte=START_BYTES)
    assert 1 < left.count() <= 3
    with pytest.raises(IntegrityError), transaction.atomic():
        left.filter(base=None).delete()
        connection.check_constraints()
    clear_flows(Flow.objects.all())
    assert not FlowBody.objects.exists()


@pytest.mark.django_db
def test_the_sweep_leaves_what_others_build_on(turns: list[Turn]) -> None:
    store(turns[:8])
    for number in range(7):
        change_sides(f"turn-{number:04}", "client", "forwarded", body_digest="")
    after = ""
    while after := sweep_chunk(after, 2):
        pass
    assert stored("turn-0007")["client"] == turns[7].request
    BodyRef.objects.all().delete()
    sweep_chunk("", 1000)
    assert not FlowBody.objects.exists()


@pytest.mark.django_db
def test_a_base_deleted_between_packing_and_writing_is_stored_again(turns: list[Turn]) -> None:
    rows = builder()
    for number in range(3):
        write_batch([rows.build(record(number, turns[number]))])
    late = rows.build(record(3, turns[3]))
    clear_flows(Flow.objects.all())
    assert not FlowBody.objects.exists()
    write_batch([late])
    assert stored("turn-0003")["client"] == turns[3].request


@pytest.mark.django_db
def test_two_writers_of_one_session_do_not_hurt_each_other(turns: list[Turn]) -> None:
    one, other = builder(), builder()
    for number, turn in enumerate(turns[:12]):
        write_batch([one.build(record(number, turn))])
        write_batch([other.build(record(100 + number, turns[11 - number]))])
    for number in range(12):
        assert stored(f"turn-{number:04}")["client"] == turns[number].request
        assert stored(f"turn-{100 + number:04}")["client"] == turns[11 - number].request


def test_nothing_builds_on_what_was_stored_before_a_secret_was_known(turns: list[Turn]) -> None:
    registry = SecretRegistry()
    rows = builder(registry)
    secret = turns[0].request[5000:5040].decode()
    rows.build(record(0, turns[0]))
    registry.add(secret)
    second = rows.build(record(1, turns[1], rewritten=True))
    bodies = [
        *second.bodies.values(),
        *(base for body in second.bodies.values() for base in body.bases()),
    ]
    assert any(body.base for body in bodies), "what left still builds on what came"
    assert not any(secret.encode() in plain(body) for body in bodies)
    assert b"redacted" in plain(_body_of(second, "client"))


def test_a_variant_does_not_build_on_what_was_packed_before_a_secret_was_known(
    turns: list[Turn],
) -> None:
    registry = SecretRegistry()
    packer = Packer(Redactor(registry))
    client = packer.store(turns[0].request, "")
    assert packer.store(turns[0].request + b" ", "", variants=[client]).packed.base is client.packed
    registry.add("sk-0123456789-not-in-it")
    assert packer.store(turns[0].request + b"  ", "", variants=[client]).packed.base is None


def test_no_body_is_packed_in_two_ways_at_once(turns: list[Turn]) -> None:
    packer = Packer(Redactor(SecretRegistry()), recent=RecentBodies(max_bytes=0))
    first = packer.store(turns[0].request, "", chain="chain").packed
    second = packer.store(turns[1].request, "", chain="chain").packed
    assert second.base is first
    assert packer.store(turns[0].request, "", chain="chain").packed is first


def test_flows_without_a_conversation_and_compressed_bodies_stand_alone(turns: list[Turn]) -> None:
    rows = builder()
    for number, turn in enumerate(turns[:3]):
        alone = record(number, turn, session_id="", conversation_id="")
        zipped = replace(
            alone,
            session_id="s",
            sides=(side("client", turn.request, (("content-encoding", "br"),)),),
        )
        for flow in (alone, replace(zipped, id="zipped")):
            assert not any(body.base for body in rows.build(flow).bodies.values())


def test_messages_of_a_socket_build_on_each_other(turns: list[Turn]) -> None:
    frames = tuple(
        WebSocketRecord(seq, 0.0, True, True, turn.request) for seq, turn in enumerate(turns[:5])
    )
    bodies = builder().build(record(0, Turn(b"", b""), messages=frames)).bodies.values()
    assert [body.base is None for body in bodies] == [True, False, False, False, False]


def test_a_conversation_that_starts_over_starts_a_new_chain(turns: list[Turn]) -> None:
    packer = DeltaChains()
    other = next(iter(session(made_up(seed=99), 1, START_BYTES))).request
    bodies = [turns[0].request, turns[1].request, other, turns[2].request]
    packed = [packer.pack("chain", digest_of(body), body) for body in bodies]
    assert [body.encoding for body in packed] == ["zstd", "splice", "zstd", "zstd"]


def test_chains_are_forgotten_when_they_hold_too_much(turns: list[Turn]) -> None:
    packer = DeltaChains(max_bytes=3 * START_BYTES)
    first, second = turns[0].request, turns[1].request
    for name in range(3):
        packer.pack(name, digest_of(first), first)
    assert packer.pack(2, digest_of(second), second).encoding == "splice"
    assert packer.pack(0, digest_of(second), second).encoding == "zstd"
    huge = b"x" * (4 * START_BYTES)
    packer.pack(3, digest_of(huge), huge)
    assert packer.pack(2, digest_of(second + b"."), second + b".").encoding == "zstd"


_SHORT = list(session(made_up(40_000), 12, 2000))
_PIECES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 40)), min_size=1, max_size=40)


@given(_PIECES)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_order_of_bodies_comes_back(steps: list[tuple[int, int]]) -> None:
    """Resent, shortened, changed at the front, in several conversations: all is there, nothing
    refers to itself.
    """
    rows = builder()
    for number, (what, which) in enumerate(steps):
        request = _SHORT[which % 12].request
        request = (request, request[: 1 + which * 100], b"%d" % which + request, request[::-1])[
            what % 4
        ]
        flow = record(number, Turn(request, b"ok"), rewritten=what % 2 == 0, session_id=f"s{what}")
        built = rows.build(flow)
        assert plain(_body_of(built, "client")) == request
        for body in built.bodies.values():
            chain = [body.digest, *(base.digest for base in body.bases())]
            assert len(set(chain)) == len(chain) <= 4


def _body_of(rows: FlowRows, name: str) -> PackedBody:
    digest = next(row.body_digest for row in rows.sides if row.side == name)
    return rows.bodies[digest]
