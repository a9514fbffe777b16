"""Clearing and retention give the disk its space back, whoever deleted the flows."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from flows.models import Flow
from flows.redaction.redactor import Redactor
from flows.services import clear_everything, give_space_back
from flows.writer import retention
from flows.writer.batch import write_batch
from flows.writer.housekeeping import Housekeeping
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.flows.records import flow, side

pytestmark = pytest.mark.django_db(transaction=True)
on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite's file")
BODY_BYTES = 1_000_000


def _fill(count: int = 4) -> None:
    retention.make_shrinkable()
    builder = RowBuilder(Redactor(SecretRegistry()))
    for number in range(count):
        body = side("client", os.urandom(BODY_BYTES))
        write_batch([builder.build(flow(f"f{number}", sides=(body,)))])


def _size() -> int:
    return retention.file_bytes() or 0


@on_sqlite
def test_the_command_shrinks_the_file_and_says_so() -> None:
    _fill()
    before = _size()
    told = StringIO()
    call_command("flows", "clear", "--all", stdout=StringIO(), stderr=told)
    assert not Flow.objects.exists()
    assert _size() < before - 3 * BODY_BYTES
    assert "smaller" in told.getvalue()


@on_sqlite
def test_a_part_is_given_back_too() -> None:
    _fill()
    before = _size()
    call_command("flows", "clear", "f0", "f1", "f2", stdout=StringIO(), stderr=StringIO())
    assert Flow.objects.count() == 1
    assert _size() < before - 2 * BODY_BYTES


@on_sqlite
def test_the_writer_gives_back_what_others_deleted() -> None:
    """The console clears in another process, and without retention nothing is pruned."""
    _fill()
    before = _size()
    clear_everything()
    assert _size() == before
    house = Housekeeping(None)
    for _ in range(50):
        if house.step() > 0:
            break
    assert _size() < before - 3 * BODY_BYTES


@on_sqlite
def test_the_log_is_cut() -> None:
    name = str(connection.settings_dict["NAME"])
    if "memory" in name:
        pytest.skip("the test database is in memory")
    _fill(1)
    clear_everything()
    give_space_back()
    log = Path(f"{name}-wal")
    assert not log.exists() or log.stat().st_size == 0


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")
def test_postgresql_says_what_it_cannot() -> None:
    _fill(1)
    told = StringIO()
    call_command("flows", "clear", stdout=StringIO(), stderr=told)
    assert "VACUUM FULL" in told.getvalue()
