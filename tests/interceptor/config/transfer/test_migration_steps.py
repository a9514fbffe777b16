"""Progress of a migration: on a terminal, and nowhere else."""

from __future__ import annotations

import re
from io import StringIO

import pytest

from interceptor.config.transfer.migration_steps import AppliedMigrations, step_line


class Screen(StringIO):
    """What a terminal gets."""

    def isatty(self) -> bool:
        return True


def test_each_migration_is_counted_as_it_begins() -> None:
    shown: list[str] = []
    told = AppliedMigrations(2, shown.append)
    told.write("Operations to perform:\n  Apply all migrations: flows\n")
    told.write("  Applying flows.0001_initial...")
    told.write(" OK\n")
    told.write("  Applying flows.0002_parts_of_flows...")
    assert shown == ["1 of 2: flows.0001_initial", "2 of 2: flows.0002_parts_of_flows"]


def test_a_terminal_sees_the_newest_step_and_then_none() -> None:
    screen = Screen()
    with step_line(screen) as show:
        show("1 of 2: flows.0001_initial")
    lines = re.split(r"\r\x1b\[K", screen.getvalue())
    assert lines[1:] == ["Bringing the database up to date: 1 of 2: flows.0001_initial", ""]


def test_a_failure_leaves_no_step_behind() -> None:
    screen = Screen()
    with pytest.raises(OSError, match="no room"), step_line(screen):
        raise OSError("no room")
    assert screen.getvalue().endswith("\r\x1b[K")


def test_a_file_gets_nothing() -> None:
    output = StringIO()
    with step_line(output) as show:
        show("1 of 2: flows.0001_initial")
    assert output.getvalue() == ""
