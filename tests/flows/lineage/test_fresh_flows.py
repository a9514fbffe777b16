"""Links that are written together with their flows, while the writer has them in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from flows.bodies.plain_bodies import PlainBodies
from flows.lineage import message_memo
from flows.lineage.fresh_flows import FreshFlow, FreshFlows
from flows.lineage.linker import Linker, pending
from flows.lineage.prompt_parts import parts_of
from flows.models import Flow, FlowLink, FlowText
from flows.reading import answer_text
from flows.reading.delta_runs import FirstDelta, Run, continued
from flows.reading.event_pieces import Piece
from flows.reading.turn_digest import digest
from flows.record import FlowRecord
from flows.redaction.redactor import Redactor
from flows.search.indexer import Indexer, waiting
from flows.search.stored_parts import plain_parts
from flows.writer.batch import write_batch
from flows.writer.rows.flow_rows import FlowRows
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from providers.wire.core.jsonio import dumps
from providers.wire.core.sse import SseEvent, serialise
from tests.flows.lineage.synthetic import ON, SCRIPTS, untouched
from tests.flows.lineage.test_linker import check
from tests.flows.records import flow, side

pytestmark = pytest.mark.django_db


def built(records: Sequence[FlowRecord], links: FreshFlows) -> list[FlowRows]:
    builder = RowBuilder(Redactor(SecretRegistry()), plain_bodies=links.bodies)
    return [builder.build(record) for record in records]


def fresh(rows: Sequence[FlowRows]) -> list[FreshFlow]:
    return [FreshFlow(each.flow, each.parts) for each in rows]


def caught_up(bodies: PlainBodies | None = None) -> FreshFlows:
    links = FreshFlows(bodies)
    assert links.link_waiting(1) == 0
    return links


def write_compact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have requests without spaces: only in these are the places of messages known."""
    compact = SimpleNamespace(dumps=lambda value: dumps(value).decode())
    monkeypatch.setattr("tests.flows.lineage.synthetic.json", compact)


def test_a_text_that_a_conversation_dropped_is_found_where_it_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(message_memo, "LEAST_BYTES", 0)
    write_compact(monkeypatch)
    agent = untouched("s", 2)
    asked = len(agent.messages)
    for question in ("the needle", "another question", "the needle"):
        agent.ask(question)
        agent.send(ON)
        if question == "the needle":
            del agent.messages[asked:]
    links = caught_up()
    for record, _ in agent.sent:
        rows = built([record], links)
        write_batch(rows, links.additions_of(fresh(rows)))
    with_needle = [
        pk for pk, (_, parts) in texts_of_all().items() if b"needle" in plain_parts(parts)
    ]
    assert with_needle == ["s-0005", "s-0007"]


@pytest.mark.parametrize("batch", [1, 7, 1000])
@pytest.mark.parametrize("least_bytes", [0, 10**9], ids=["added messages", "complete"])
def test_links_made_in_memory_are_those_of_the_database(
    batch: int, least_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links and texts are the same, however much of a request is read for them."""
    monkeypatch.setattr(message_memo, "LEAST_BYTES", least_bytes)
    write_compact(monkeypatch)
    read_next: list[FlowText | None] = []
    text_of_next = Indexer.text_of_next

    def counted(*args: Any) -> FlowText | None:
        read_next.append(text_of_next(*args))
        return read_next[-1]

    monkeypatch.setattr(Indexer, "text_of_next", counted)
    agents = [script(script.__name__, session=script.__name__) for script in SCRIPTS]
    sent = [pair for agent in agents for pair in agent.sent]
    sent.sort(key=lambda pair: (pair[0].started_at, pair[0].id))
    links = caught_up()
    for start in range(0, len(sent), batch):
        rows = built([pair[0] for pair in sent[start : start + batch]], links)
        found = links.additions_of(fresh(reversed_pairs(rows)))
        assert len(found) == len(rows)
        assert all(each.text for each in found.values())
        write_batch(rows, found)
    assert len(list(filter(None, read_next))) >= 12 if least_bytes == 0 else not read_next
    assert not pending().exists()
    assert not waiting().exists()
    stored = FlowLink.objects.in_bulk()
    assert check((each.id, stored[each.id], expected) for each, expected in sent) >= 9

    texts = texts_of_all()
    Flow.objects.update(indexed=None, searched=None)
    linker, indexer = Linker(), Indexer()
    while linker.link_pending() or indexer.index_pending(50):
        pass
    assert {pk: values(each) for pk, each in FlowLink.objects.in_bulk().items()} == {
        pk: values(each) for pk, each in stored.items()
    }
    assert texts_of_all() == texts


def reversed_pairs(rows: Sequence[FlowRows]) -> list[FlowRows]:
    """Return rows as they may be written: not in the order in which their flows began."""
    return list(reversed(rows))


def texts_of_all() -> dict[str, tuple[str, bytes]]:
    rows = FlowText.objects.values_list("pk", "base", "parts")
    return {pk: (base, bytes(parts)) for pk, base, parts in rows}


def values(link: FlowLink) -> dict[str, object]:
    return {field.attname: getattr(link, field.attname) for field in FlowLink._meta.concrete_fields}


def test_flows_wait_for_the_earlier_ones_of_the_database() -> None:
    sent = [pair[0] for pair in untouched("s", 4).sent]
    # One body alone has room: the flows' bodies are gone when their links are to be made.
    links = caught_up(PlainBodies(max_bodies=1))
    rows = built(sent[:2], links)
    assert links.additions_of(fresh(rows)) == {}
    write_batch(rows, {})
    links.left()

    # With its bodies in memory, the next one waits all the same.
    links.bodies = PlainBodies()
    rows = built(sent[2:], links)
    assert links.additions_of(fresh(rows)) == {}
    write_batch(rows, {})
    assert pending().count() == len(sent)
    assert links.link_waiting(100) == len(sent)
    assert links.link_waiting(100) == 0
    assert links.additions_of(fresh(rows)).keys() == {each.flow.pk for each in rows}
    previous = dict(FlowLink.objects.values_list("pk", "previous"))
    assert [previous[each.id] for each in sent] == ["", *(each.id for each in sent[:-1])]


def test_the_prepared_row_of_a_linked_flow_stays_one_that_waits() -> None:
    links = caught_up()
    rows = built([pair[0] for pair in untouched("s", 1).sent], links)
    write_batch(rows, links.additions_of(fresh(rows)))
    # The database may lose it: then it is spooled, and its link is not.
    assert {(each.flow.indexed, each.flow.searched) for each in rows} == {(None, None)}
    assert all(each.flow.search_text for each in rows)
    stored = Flow.objects.values_list("indexed", "searched", "search_text")
    assert set(stored) == {(True, True, "")}


def test_a_flow_whose_earlier_one_is_deleted_has_its_texts_later() -> None:
    sent = [pair[0] for pair in untouched("s", 2).sent]
    links = caught_up()
    write_batch(first := built(sent[:1], links), links.additions_of(fresh(first)))
    rows = built(sent[1:], links)
    additions = links.additions_of(fresh(rows))
    assert additions[sent[1].id].text
    Flow.objects.filter(pk=sent[0].id).delete()
    write_batch(rows, additions)
    # Those that continue this one do not repeat it.
    assert [each.pk for each in waiting()] == [sent[1].id]
    assert links.index_waiting(50) == 1
    assert FlowText.objects.get(pk=sent[1].id).base == ""


def test_each_event_of_a_stream_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row, the link and the search text of a flow share what was read of its response."""
    read: list[bytes] = []
    in_runs: list[str] = []
    read_event = answer_text._ReadEvents.read

    def spy(events: answer_text._ReadEvents, event: SseEvent) -> Iterable[Piece]:
        read.append(event.data)
        return read_event(events, event)

    def spy_on_runs(body: bytes, first: FirstDelta) -> Run | None:
        run = continued(body, first)
        in_runs.extend(run.texts if run else ())
        return run

    monkeypatch.setattr(answer_text._ReadEvents, "read", spy)
    monkeypatch.setattr(answer_text, "continued", spy_on_runs)
    said = [f"the flow's own words, number {number}" for number in range(20)]
    events = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        for text in said
    ]
    stream = b"".join(serialise(dumps(event)) for event in events)
    asked = {"messages": [{"role": "user", "content": "Count."}], "model": "m"}
    sides = (
        side("client", dumps(asked), method="POST", url="http://h/v1/messages"),
        side("upstream", stream, status_code=200),
        side("delivered", stream, status_code=200),
    )
    links = caught_up()
    rows = built([flow("streamed", sides=sides, is_stream=True)], links)
    found = links.additions_of(fresh(rows))
    assert len(read) + len(in_runs) == len(events)
    text = found["streamed"].text
    assert text is not None
    assert "".join(said) in plain_parts(text.parts).decode()


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": "é…", "cache_control": {"type": "ephemeral"}},
        {"z": 1, "a": {"y": [1.5, None, True], "b": "x"}, "é": "", "\U0001f600": 0, "ￜ": 1},
        {"text": "half of an emoji: \ud83d", "number": 2**70},
    ],
)
def test_a_part_has_the_digest_of_its_value(block: dict[str, object]) -> None:
    body = {"messages": [{"role": "user", "content": [block]}]}
    (part,) = parts_of(body)
    plain = {name: value for name, value in block.items() if name != "cache_control"}
    assert part.value == [{"role": "user"}, plain]
    assert (part.digest, part.size_bytes) == (digest(part.value), len(dumps(part.value)))


def test_only_the_first_call_of_a_session_is_looked_up_briefly(
    django_assert_num_queries: Any,
) -> None:
    sent = [pair[0] for pair in untouched("s", 3).sent]
    links = caught_up()
    first = built(sent[:1], links)
    with django_assert_num_queries(1) as asked:
        additions = links.additions_of(fresh(first))
    assert "LIMIT 1" in asked.captured_queries[0]["sql"]
    write_batch(first, additions)

    # A process that has just started knows nothing of the session's first call.
    restarted = caught_up()
    rows = built(sent[1:], restarted)
    write_batch(rows, restarted.additions_of(fresh(rows)))
    previous = dict(FlowLink.objects.values_list("pk", "previous"))
    assert [previous[each.id] for each in sent] == ["", *(each.id for each in sent[:-1])]
