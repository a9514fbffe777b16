"""Fixtures that several folders share: scripted servers, and clients that are signed in."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management.commands import migrate
from django.db import connections
from django.test import Client, override_settings

from providers.models import ConfigRevision
from tests.environment import ROOT, need
from tests.fakes.raw_upstream import RawUpstream
from tests.fakes.token_endpoint import TokenEndpoint
from tests.fakes.upstream import Upstream
from tests.idle_fixtures import leave_out_idle_fixtures
from tests.kept_process import kept_logging, kept_role, kept_signals, kept_umask
from tests.new_database import FOLDER, copy_tables
from tests.query_counts import UPDATE_OPTION, QueryCounts
from tests.run_patches import (
    contexts_of_whole_pages,
    loggers_made_meanwhile,
    patient_jq,
    rights_made_once,
    static_files_found_once,
)
from tests.visitors import viewer

QUICK_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SLOW_FOLDERS = ("browser", "cli", "e2e", "jail")
LONG_FILES = ("flows/console/test_bad_input.py",)
"""Those of other folders that take half a minute."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(UPDATE_OPTION, action="store_true", help="write tests/query_counts.json anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take long first: all workers then end at about the same time."""
    for item in items:
        leave_out_idle_fixtures(item)
    slow = {path for path in {item.path for item in items} if is_slow(path)}
    items.sort(key=lambda item: item.path not in slow)


def is_slow(path: Path) -> bool:
    """Tell if a file starts processes, looks at the whole product, or takes long otherwise."""
    inside = path.relative_to(ROOT / "tests")
    looks_at_everything = len(inside.parts) == 1
    return looks_at_everything or inside.parts[0] in SLOW_FOLDERS or inside.as_posix() in LONG_FILES


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector away from modules and tests, which live as long as the run.

    Each full collection looked at all of them, also while they were made.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        # What is garbage by now stays: to find those 20 MB takes a tenth of the collection.
        gc.freeze()
        gc.enable()
        # The usual 2,000 take 4 % of the CPU time of the tests.
        gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="session", autouse=True)
def patched_run(
    django_test_environment: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The changes that last as long as the run; one fixture, as each takes time at every test."""
    base = tmp_path_factory.getbasetemp()
    # Each worker of xdist has a folder in the run's.
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    # Where the database lies that new config directories get a copy of.
    os.environ[FOLDER] = str(run / "tables")
    with (
        static_files_found_once(),
        contexts_of_whole_pages(),
        rights_made_once(),
        patient_jq(),
        loggers_made_meanwhile(),
        # Of a third of a second for each user.
        override_settings(PASSWORD_HASHERS=QUICK_HASHERS),
    ):
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, patched_run: None
) -> Iterator[None]:
    """Fill the database of the tests from the one that is migrated once in a run.

    Each worker would run the migrations again, in two seconds of CPU time.
    """
    usual = migrate.Command.handle

    def handle(command: migrate.Command, *args: Any, **options: Any) -> None:
        database = connections[options["database"]]
        has_tables = bool(database.introspection.table_names())
        if database.vendor == "sqlite" and not has_tables:
            copy_tables(database.connection)
        # A server of this suite brings them along (fakes/postgres.py).
        elif database.vendor == "sqlite" or not has_tables:
            usual(command, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate.Command, "handle", handle)
        yield


@pytest.fixture(autouse=True)
def kept_process() -> Iterator[None]:
    """Put back what commands change that a test calls in this process."""
    with kept_umask(), kept_role(), kept_logging(), kept_signals():
        yield


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of recorded traffic (`clients/`, `wire/`), read in place."""
    path = Path(os.environ.get("CCPROXY_TEST_CORPUS") or ROOT / "../shared/data").resolve()
    need(f"the recorded traffic at {path}", (path / "clients").is_dir())
    return path


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """A scripted provider that takes any credential."""
    with Upstream() as server:
        yield server


@pytest.fixture(scope="module")
def raw_upstream() -> Iterator[RawUpstream]:
    """A provider that sends exact bytes."""
    with RawUpstream() as server:
        yield server


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    """An OAuth token endpoint without logins."""
    with TokenEndpoint() as server:
        yield server


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    """A browser of a user who may read flows and no more."""
    client.force_login(viewer())
    return client


@pytest.fixture
def admin(client: Client, db: None) -> Client:
    """A browser of a superuser."""
    client.force_login(User.objects.create_superuser("ada"))
    return client


@pytest.fixture
def filled_database(db: None) -> None:
    """A database that had its first filling: commands add no default rows."""
    ConfigRevision.bump()


@pytest.fixture
def query_counts(pytestconfig: pytest.Config) -> QueryCounts:
    """The baselines of query_counts.json."""
    return QueryCounts(update=pytestconfig.getoption(UPDATE_OPTION))
