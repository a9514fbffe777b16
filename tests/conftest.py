"""Fixtures that several folders share: scripted servers, and clients that are signed in."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import Style
from django.core.management.commands import flush, migrate
from django.db import connections
from django.template import Context
from django.template.base import Template
from django.test import Client
from django.test.signals import template_rendered
from django.utils.safestring import SafeString
from pytest_django.fixtures import Settings
from whitenoise.middleware import WhiteNoiseMiddleware

from ccproxy_site.process.logging import _CHATTY, _NEVER_DEBUG
from ccproxy_site.roles import VARIABLE as ROLE
from flows.queries.jq import JqLimits
from providers.models import ConfigRevision
from tests.environment import ROOT, need
from tests.fakes.raw_upstream import RawUpstream
from tests.fakes.token_endpoint import TokenEndpoint
from tests.fakes.upstream import Upstream
from tests.new_database import FOLDER, copy_tables
from tests.patience import PATIENCE_S
from tests.query_counts import UPDATE_OPTION, QueryCounts
from tests.visitors import viewer

SLOW_FOLDERS = ("browser", "cli", "e2e", "jail")
LONG_FILES = ("flows/console/test_bad_input.py",)
"""Those of other folders that take half a minute."""
CONFIGURED_LOGGERS = ("", "django", "django.server", "mitmproxy", *_CHATTY, *_NEVER_DEBUG)
"""What `configure_logging` changes."""
MADE_ONCE = (ContentType._meta.db_table, Permission._meta.db_table)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(UPDATE_OPTION, action="store_true", help="write tests/query_counts.json anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take long first: all workers then end at about the same time."""
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


@pytest.fixture(scope="session", autouse=True)
def static_files_found_once() -> Iterator[None]:
    """Each test client builds the middleware anew, which looks at every static file."""
    found: dict[str, Any] = {}
    find = WhiteNoiseMiddleware.add_files_from_finders

    def add_files(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            find(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", add_files)
        yield


@pytest.fixture(scope="session", autouse=True)
def contexts_of_whole_pages(django_test_environment: None) -> Iterator[None]:
    """Note the context of a page at its response, and of no template that is included in it.

    Django notes each of them with a copy of its context: forty a page.
    """

    def render(template: Template, context: Context) -> SafeString:
        if context.template is template:
            template_rendered.send(sender=template, template=template, context=context)
        return template.nodelist.render(context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "_render", render)
        yield


@pytest.fixture(scope="session", autouse=True)
def rights_made_once() -> Iterator[None]:
    """Keep the rows of models and their rights when a test with transactions empties the tables.

    Django would make them anew each time, which takes longer than emptying all tables.
    """

    def statements(style: Style, database: Any, **options: bool) -> list[str]:
        names = database.introspection.django_table_names(only_existing=True, include_views=False)
        emptied = [name for name in names if name not in MADE_ONCE]
        if database.vendor == "postgresql" and not options.get("reset_sequences"):
            return deletions(database, emptied)
        found: list[str] = database.ops.sql_flush(style, emptied, **options)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", statements)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *_: None)
        yield


def deletions(database: Any, tables: list[str]) -> list[str]:
    """Return the statements that empty those of the tables that have rows, on PostgreSQL.

    TRUNCATE makes new files for each table and each of its indexes, whatever is in them.
    """
    looks = [
        f"SELECT '{table}' WHERE EXISTS (SELECT FROM {database.ops.quote_name(table)})"
        for table in tables
    ]
    with database.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(looks))
        filled = [database.ops.quote_name(name) for (name,) in cursor.fetchall()]
    # In this role no row asks if another one needs it.
    return [
        "SET LOCAL session_replication_role = replica",
        *(f"DELETE FROM {name}" for name in filled),
        "SET LOCAL session_replication_role = DEFAULT",
    ]


@pytest.fixture(scope="session", autouse=True)
def shared_tables(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Name the folder of the database that new config directories get a copy of."""
    base = tmp_path_factory.getbasetemp()
    # Each worker of xdist has a folder in the run's.
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    os.environ[FOLDER] = str(run / "tables")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, shared_tables: None
) -> Iterator[None]:
    """Fill the database of the tests from the one that is migrated once in a run.

    Each worker would run the migrations again, in two seconds of CPU time.
    """
    usual = migrate.Command.handle

    def handle(command: migrate.Command, *args: Any, **options: Any) -> None:
        database = connections[options["database"]]
        if database.vendor == "sqlite" and not database.introspection.table_names():
            copy_tables(database.connection)
        else:
            usual(command, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate.Command, "handle", handle)
        yield


@pytest.fixture(scope="session", autouse=True)
def patient_jq() -> Iterator[None]:
    """A busy machine may need more than three seconds to start the process of a filter."""
    usual = JqLimits()

    def timeout_for_s(limits: JqLimits, size_bytes: int) -> float:
        is_usual = limits.timeout_s == usual.timeout_s
        return PATIENCE_S if is_usual else chosen_s(limits, size_bytes)

    chosen_s = JqLimits.timeout_for_s
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JqLimits, "timeout_for_s", timeout_for_s)
        yield


@pytest.fixture(autouse=True)
def kept_umask() -> Iterator[None]:
    """Commands that a test calls in this process set their own."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def kept_signals() -> Iterator[None]:
    """A write to a closed socket must be an error: SIGPIPE's default ends the process silently."""
    yield
    left = signal.getsignal(signal.SIGPIPE)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    assert left is signal.SIG_IGN, "this test changed what SIGPIPE does in its process"


@pytest.fixture(autouse=True)
def kept_logging() -> Iterator[None]:
    """Commands that a test calls in this process log to its standard error, which is closed later."""
    loggers = [logging.getLogger(name) for name in CONFIGURED_LOGGERS]
    before = [(logger, logger.level, logger.propagate, [*logger.handlers]) for logger in loggers]
    yield
    for logger, level, propagate, handlers in before:
        for handler in [each for each in logger.handlers if each not in handlers]:
            handler.close()
        if logger.handlers != handlers:
            logger.handlers[:] = handlers
        if logger.level != level:
            logger.setLevel(level)
        logger.propagate = propagate
    logging.captureWarnings(False)


@pytest.fixture(autouse=True)
def kept_role() -> Iterator[None]:
    """Such commands say what kind of process this is, and its children would inherit that."""
    before = os.environ.get(ROLE)
    yield
    if os.environ.get(ROLE) != before:
        os.environ.pop(ROLE, None)
        if before is not None:
            os.environ[ROLE] = before


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
def quick_hashing(settings: Settings) -> None:
    """Passwords cost microseconds instead of a tenth of a second."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def query_counts(pytestconfig: pytest.Config) -> QueryCounts:
    """The baselines of query_counts.json."""
    return QueryCounts(update=pytestconfig.getoption(UPDATE_OPTION))
