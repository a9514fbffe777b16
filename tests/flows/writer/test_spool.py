"""While the database takes no flows, rows wait in private files, and are stored later."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from flows.bodies.store import load_body
from flows.models import Flow, UsageDaily, WebSocketMessage
from flows.record import FlowRecord, WebSocketRecord
from flows.writer import database_state
from flows.writer import thread as writer_module
from flows.writer.batch import write_batch
from flows.writer.spool import Spool
from flows.writer.thread import FlowWriter
from tests.flows.records import eventually, flow, live, side
from tests.flows.writer.test_committed import Sender
from tests.flows.writer.test_thread import KEY, locked_database, needs_a_file_lock, running
from tests.parts import all_sides
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.django_db(transaction=True), needs_a_file_lock]


def turn(number: int) -> FlowRecord:
    """One request of a conversation, which is stored as a delta against the one before."""
    said = [
        {"role": "user", "content": f"{n} " + "how far is it, roughly? " * 40}
        for n in range(number)
    ]
    body = json.dumps({"model": "m", "messages": said}).encode()
    return flow(
        f"turn-{number}", sides=(side("client", body), side("forwarded", body)), sent_model="m"
    )


@contextmanager
def refused(writer: FlowWriter) -> Iterator[None]:
    """The writer knows that the database takes nothing."""
    with locked_database():
        writer.record(flow("first", sent_model="m"))
        eventually(lambda: writer.stats().is_refused)
        yield


def relieve_until(
    writer: FlowWriter, condition: Callable[[], bool], *, everything: bool = False
) -> None:
    def relieved() -> bool:
        writer.relieve(everything=everything)
        return condition()

    eventually(relieved)


def test_what_finds_no_room_is_committed_and_stored_later(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    turns = [turn(number) for number in range(1, 30)]
    with running(busy_timeout_ms=20, spool=spool, max_records=10) as writer:
        sender = Sender(writer)
        with refused(writer):
            for record in turns:
                sender.send(record, record.id)
                writer.relieve()
            relieve_until(writer, lambda: len(sender.committed) > 20)
            assert len(spool) > 0
            assert writer.stats().spooled_files == len(spool)
        eventually(lambda: len(spool) == 0)
        eventually(lambda: writer.stats().queue_depth == 0)
    assert sorted(sender.committed) == sorted(record.id for record in turns)
    assert writer.stats().records_dropped == writer.stats().bodies_dropped == 0
    assert {load_body(row.body_digest) for row in all_sides("client")} == {
        flow().sides[0].body,
        *(record.sides[0].body for record in turns),
    }
    assert sum(UsageDaily.objects.values_list("requests", flat=True)) == 1 + len(turns)


def test_little_waits_in_memory(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    with running(busy_timeout_ms=20, spool=spool) as writer, refused(writer):
        writer.relieve()
        assert len(spool) == 0
    assert not (tmp_path / "spool").exists()


def test_a_writer_that_ends_leaves_files_for_the_next(tmp_path: Path) -> None:
    with running(busy_timeout_ms=20, spool=Spool(tmp_path)) as writer, locked_database():
        sender = Sender(writer)
        sender.send(flow("a", sent_model="m"), "a")
        eventually(lambda: writer.stats().is_refused)
        sender.send(turn(3), "b")
        assert writer.close(0.3) is True
        assert sorted(sender.committed) == ["a", "b"]
    assert Flow.objects.count() == 0
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    spool = Spool(tmp_path)
    with running(spool=spool):
        eventually(lambda: len(spool) == 0)
    assert set(Flow.objects.values_list("id", flat=True)) == {"a", "turn-3"}
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_ends_stores_what_was_spooled_if_the_database_works(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with running(busy_timeout_ms=20, spool=spool) as writer:
        with refused(writer):
            relieve_until(writer, lambda: len(spool) > 0, everything=True)
        eventually(lambda: not writer.is_refused)
        writer.record(turn(2))
        assert writer.close(PATIENCE_S) is True
    assert len(spool) == 0
    assert set(Flow.objects.values_list("id", flat=True)) == {"first", "turn-2"}


def test_a_file_that_was_stored_already_counts_once(tmp_path: Path) -> None:
    """The process was killed between the commit and the removal of the file."""
    with running(busy_timeout_ms=20, spool=Spool(tmp_path)) as writer, locked_database():
        writer.record(turn(2))
        eventually(lambda: writer.stats().is_refused)
        writer.close(0.1)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for _ in range(2):
        path.write_bytes(content)
        spool = Spool(tmp_path)
        with running(spool=spool):
            eventually(lambda spool=spool: len(spool) == 0)
    assert Flow.objects.count() == 1
    assert sum(UsageDaily.objects.values_list("requests", flat=True)) == 1


def test_messages_before_and_after_the_spool(tmp_path: Path) -> None:
    messages = tuple(WebSocketRecord(n, 1.0, True, True, b"message %d" % n) for n in range(4))
    spool = Spool(tmp_path)
    with running(busy_timeout_ms=20, spool=spool) as writer:
        with refused(writer):
            writer.record(live("socket", is_websocket=True, messages=messages[:2]))
            relieve_until(writer, lambda: len(spool) > 0, everything=True)
            writer.record(flow("socket", is_websocket=True, messages=messages))
        eventually(lambda: Flow.objects.filter(pk="socket", state="done").exists())
    assert sorted(WebSocketMessage.objects.values_list("seq", flat=True)) == [0, 1, 2, 3]


def test_files_that_cannot_be_read_are_set_aside_and_cost_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(busy_timeout_ms=20, spool=Spool(tmp_path)) as writer, locked_database():
        for number in range(1, 4):
            writer.record(turn(number))
            eventually(lambda: writer.stats().is_refused)
            relieve_until(writer, partial(is_written, tmp_path, number), everything=True)
        # While it is locked: a writer that still runs would store the first files.
        writer.close(0.1)
    paths = sorted(tmp_path.iterdir())
    paths[1].write_bytes(paths[1].read_bytes()[:-10])
    foreign = tmp_path / "00000000000000000001.rows"
    foreign.write_bytes(b"somebody else's")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "00000000000000000002.part").write_bytes(b"half")
    spool = Spool(tmp_path)
    with running(spool=spool):
        eventually(lambda: len(spool) == 0)
    assert set(Flow.objects.values_list("id", flat=True)) == {"turn-1", "turn-3"}
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"{paths[1].name}.unreadable", f"{foreign.name}.unreadable", "notes.txt"}
    assert "it is truncated or damaged" in caplog.text
    assert "ccproxy did not write it" in caplog.text
    assert "notes.txt is no file of the spool" in caplog.text


def is_written(folder: Path, files: int) -> bool:
    return len(list(folder.glob("*.rows"))) == files


def test_a_full_spool_leaves_rows_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(busy_timeout_ms=20, spool=Spool(tmp_path, max_bytes=100)) as writer:
        sender = Sender(writer)
        with refused(writer):
            sender.send(turn(1), "turn")
            writer.relieve(everything=True)
            writer.relieve(everything=True)
            assert sender.committed == []
        eventually(lambda: sender.committed == ["turn"])
    assert caplog.text.count("flows cannot be spooled") == 1


def test_rows_of_a_database_that_does_not_answer_are_spooled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, asked = threading.Event(), threading.Event()

    def frozen(batch: object) -> None:
        asked.set()
        assert answers.wait(PATIENCE_S)
        write_batch(batch)  # type: ignore[arg-type]

    monkeypatch.setattr(writer_module, "write_batch", frozen)
    monkeypatch.setattr(database_state, "STUCK_S", 0.0)
    spool = Spool(tmp_path)
    with running(spool=spool) as writer:
        sender = Sender(writer)
        sender.send(turn(1), "in the question")
        assert asked.wait(PATIENCE_S)
        sender.send(turn(2), "behind it")
        writer.relieve(everything=True)
        assert sorted(sender.committed) == ["behind it", "in the question"]
        assert len(spool) == 1
        answers.set()
        eventually(lambda: len(spool) == 0)
    assert set(Flow.objects.values_list("id", flat=True)) == {"turn-1", "turn-2"}
    assert sum(UsageDaily.objects.values_list("requests", flat=True)) == 2


def test_no_secret_is_in_a_file(tmp_path: Path) -> None:
    body = json.dumps({"model": "m", "metadata": KEY}).encode()
    headers = (("x-api-key", KEY), ("user-agent", "tests"))
    with running(busy_timeout_ms=20, spool=Spool(tmp_path)) as writer, locked_database():
        writer.record(flow("a", sides=(side("client", body, headers),)))
        eventually(lambda: writer.stats().is_refused)
        writer.close(0.1)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    assert b"user-agent" in content
    assert KEY.encode() not in content
