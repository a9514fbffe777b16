"""A database is up to date when it has the names of all migrations and no other."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.db.migrations.recorder import MigrationRecorder

from interceptor.config.transfer import database
from interceptor.config.transfer.database import ensure_database
from interceptor.config.transfer.database_state import DatabaseState
from interceptor.config.transfer.migration_names import has_all_migrations
from providers.base.errors import ConfigError
from providers.base.file_lock import FileLock
from providers.reading.django_reader import read

pytestmark = pytest.mark.django_db

Migration = MigrationRecorder.Migration


def is_current() -> bool:
    return has_all_migrations(settings.CCPROXY_MIGRATED_APPS, read)


def test_it_works() -> None:
    assert is_current()


@pytest.mark.parametrize("app", ["flows", "authtoken", "sessions"])
def test_a_missing_one_is_seen(app: str) -> None:
    Migration.objects.filter(app=app)[:1].get().delete()
    assert not is_current()


def test_one_of_a_newer_version_is_seen() -> None:
    Migration.objects.create(app="flows", name="9999_from_tomorrow")
    assert not is_current()
    with pytest.raises(ConfigError, match=r"newer ccproxy \(flows 9999_from_tomorrow\)"):
        ensure_database()


def test_applications_that_left_do_not_matter() -> None:
    Migration.objects.create(app="long_gone", name="0001_initial")
    assert is_current()


def test_django_is_asked_about_squashed_ones(monkeypatch: Any) -> None:
    monkeypatch.setattr(
        "interceptor.config.transfer.database.has_all_migrations", lambda apps, read: False
    )
    assert ensure_database().migrated is False


@pytest.mark.usefixtures("filled_database")
def test_what_another_process_made_meanwhile_is_not_made_again(monkeypatch: Any) -> None:
    missing = Migration.objects.filter(app="flows")[:1].get()
    missing.delete()

    class WaitedFor(FileLock):
        def acquire(self) -> None:
            super().acquire()
            Migration.objects.create(app=missing.app, name=missing.name)

    monkeypatch.setattr(database, "FileLock", WaitedFor)
    monkeypatch.setattr(database, "_migrated", lambda: pytest.fail("it migrates again"))
    assert ensure_database() == DatabaseState()
