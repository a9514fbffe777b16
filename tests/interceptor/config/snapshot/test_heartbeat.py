"""The watcher's heartbeat: rows of several instances, on a connection that lasts."""

from __future__ import annotations

import itertools
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.db.backends.signals import connection_created

from interceptor.config.snapshot import watch
from interceptor.config.snapshot.change_alarm import ChangeAlarm
from interceptor.config.snapshot.load import load_snapshot
from interceptor.config.snapshot.store import ConfigStore
from interceptor.config.snapshot.watch import ConfigWatcher
from interceptor.models import InterceptorStatus
from providers.models import ConfigRevision
from tests.flows.records import eventually

pytestmark = pytest.mark.django_db(transaction=True)

WATCH_LOG = "interceptor.config.snapshot.watch"


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, WATCH_LOG)
    return caplog


def make_watcher(**options: Any) -> ConfigWatcher:
    store = ConfigStore(load_snapshot())
    return ConfigWatcher(store, endpoints={"proxy_url": "x"}, version="t", **options)


@pytest.fixture
def watcher() -> Iterator[ConfigWatcher]:
    """A watcher that says something new each second."""
    numbers = itertools.count()
    running = make_watcher(facts=lambda: {"active_flows": next(numbers)})
    yield running
    running.stop()


@pytest.fixture
def own_file(tmp_path: Path) -> Iterator[Path]:
    """A copy of the database, which new connections open."""
    if connection.vendor != "sqlite":
        pytest.skip("about SQLite's file")
    load_snapshot()  # the revision's row
    path = tmp_path / "own.sqlite3"
    copy_database(path)
    entry = connections.databases["default"]
    before = entry["NAME"]
    entry["NAME"] = str(path)
    yield path
    entry["NAME"] = before


def copy_database(path: Path) -> None:
    connection.ensure_connection()
    with closing(sqlite3.connect(path)) as copy:
        connection.connection.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def heartbeats(path: Path) -> list[str]:
    """Return the times of the heartbeat rows in a file."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT heartbeat_at FROM interceptor_interceptorstatus")
        return [time for (time,) in rows]


def test_one_watcher_speaks_for_several_instances() -> None:
    alive: dict[str, Mapping[str, Any]] = {
        "host:1": {"active_flows": 3},
        "host:2": {"endpoints": {"proxy_url": "y"}, "revision": 7},
    }
    several = make_watcher(instances=lambda: alive)
    several.beat()
    first, second = InterceptorStatus.objects.order_by("instance")
    assert (first.instance, first.active_flows, first.endpoints) == (
        "host:1",
        3,
        {"proxy_url": "x"},
    )
    assert (second.instance, second.revision, second.endpoints) == ("host:2", 7, {"proxy_url": "y"})
    assert first.version == "t" and first.restart_needed == []
    started = first.started_at

    del alive["host:2"]
    alive["host:1"] = {"active_flows": 0}
    several.beat()
    (first,) = InterceptorStatus.objects.all()
    assert (first.instance, first.active_flows, first.started_at) == ("host:1", 0, started)
    assert first.heartbeat_at > started

    several.beat({"host:3": {}})
    assert [row.instance for row in InterceptorStatus.objects.all()] == ["host:3"]


def test_the_end_removes_own_rows_and_old_ones_of_others() -> None:
    several = make_watcher(instances=lambda: {"host:1": {}, "host:2": {}})
    several.beat()
    row = InterceptorStatus.objects.get(instance="host:1")
    for name, age in (("other:1", timedelta(seconds=9)), ("other:2", timedelta(minutes=6))):
        InterceptorStatus.objects.create(
            instance=name,
            started_at=row.started_at,
            heartbeat_at=row.heartbeat_at - age,
        )
    several._leave()
    assert [each.instance for each in InterceptorStatus.objects.all()] == ["other:1"]


def test_the_connection_lasts(watcher: ConfigWatcher) -> None:
    opened: list[Any] = []

    def count(**_: Any) -> None:
        opened.append(None)

    connection_created.connect(count)
    try:
        watcher.start()
        times: set[Any] = set()

        def three_beats() -> bool:
            times.update(InterceptorStatus.objects.values_list("heartbeat_at", flat=True))
            return len(times) >= 3

        eventually(three_beats)
    finally:
        connection_created.disconnect(count)
    assert len(opened) == 1


def test_at_rest_it_sleeps_until_something_is_said_or_written(
    own_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeps: list[float] = []
    sleep = ChangeAlarm.wait

    def note(alarm: ChangeAlarm, timeout_s: float) -> None:
        sleeps.append(timeout_s)
        sleep(alarm, timeout_s)

    monkeypatch.setattr(ChangeAlarm, "wait", note)
    # Only a change can wake it up within the test's time.
    monkeypatch.setattr(watch, "BEAT_AT_REST_S", 3600.0)
    facts = {"active_flows": 3}
    resting = make_watcher(facts=lambda: facts)
    resting.start()
    try:
        eventually(lambda: sleeps)
        if not resting._alarm.is_watching:
            pytest.skip("about inotify")
        eventually(lambda: sleeps[-1] > 3000)
        facts = {"active_flows": 4}
        resting.note()
        eventually(lambda: active_flows(own_file) == [4])
        eventually(lambda: sleeps[-1] > 3000)
        before = resting._store.current.revision
        with closing(sqlite3.connect(own_file)) as other:
            other.execute("UPDATE providers_configrevision SET number = number + 1")
            other.commit()
        eventually(lambda: resting._store.current.revision == before + 1)
    finally:
        resting.stop()


def active_flows(path: Path) -> list[int]:
    """Return what the heartbeat rows of a file say."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT active_flows FROM interceptor_interceptorstatus")
        return [number for (number,) in rows]


def test_a_replaced_file_is_opened(own_file: Path, watcher: ConfigWatcher, tmp_path: Path) -> None:
    watcher.start()
    eventually(lambda: heartbeats(own_file))
    other = tmp_path / "other.sqlite3"
    copy_database(other)
    assert heartbeats(other) == []
    # As people restore a backup: what belongs to the file before is removed with it.
    for ending in ("-wal", "-shm"):
        own_file.with_name(own_file.name + ending).unlink(missing_ok=True)
    other.replace(own_file)
    eventually(lambda: heartbeats(own_file))


def test_a_file_that_is_gone_is_not_made_again(
    own_file: Path,
    watcher: ConfigWatcher,
    tmp_path: Path,
    log: pytest.LogCaptureFixture,
) -> None:
    watcher.start()
    eventually(lambda: heartbeats(own_file))
    aside = tmp_path / "aside.sqlite3"
    own_file.rename(aside)
    eventually(lambda: "file is gone" in log.text)
    assert not own_file.exists()
    before = heartbeats(aside)
    aside.rename(own_file)
    eventually(lambda: heartbeats(own_file) > before)


def test_a_locked_file_is_tried_again(
    own_file: Path, watcher: ConfigWatcher, log: pytest.LogCaptureFixture
) -> None:
    watcher.start()
    eventually(lambda: heartbeats(own_file))
    with closing(sqlite3.connect(own_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        eventually(lambda: "database is locked" in log.text)
        before = heartbeats(own_file)
        other.execute("ROLLBACK")
    eventually(lambda: heartbeats(own_file) > before)


def test_a_server_that_was_restarted_is_reached_again(
    watcher: ConfigWatcher, log: pytest.LogCaptureFixture
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("about a database server")
    watcher.start()
    eventually(InterceptorStatus.objects.exists)
    with connection.cursor() as cursor:
        # As a server does that shuts down.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    eventually(lambda: "configuration not read this time" in log.text)
    ConfigRevision.bump()
    eventually(lambda: watcher._store.current.revision == ConfigRevision.current())
