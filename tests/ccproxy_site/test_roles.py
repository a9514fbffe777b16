"""Each kind of process loads the applications it uses, and no other."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.apps import AppConfig
from django.apps import apps as registry

from ccproxy_site.roles import APPS, Role, apps_of, take_role
from providers.base.errors import ConfigError
from tests.environment import ROOT

PAGES_ONLY = ("unfold", "rest_framework", "channels", "django_filters", "drf_spectacular")
WHERE_ASKED_FOR = (
    "psycopg", "redis", "twisted", "daphne", "autobahn", "requests", "celery", "cryptography", "re2",
)  # fmt: skip

_REPORT = """
import json, sys
import django
django.setup()
from django.apps import apps
from interceptor.config.transfer.database import ensure_database
state = ensure_database()
unresolved = [
    str(field)
    for model in apps.get_models()
    for field in model._meta.get_fields()
    if isinstance(getattr(field, "related_model", None), str)
]
print(json.dumps({"created": state.created, "unresolved": unresolved, "loaded": [*sys.modules]}))
"""


def report(directory: Path, role: str) -> dict[str, Any]:
    """Return what a process of the role says after it opened a database."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", _REPORT],
        env={
            **kept,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings",
            "CCPROXY_CONFIG_DIR": str(directory),
            "CCPROXY_ROLE": role,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def texts(directory: Path, sql: str) -> set[str]:
    """The first column of a query's rows."""
    with closing(sqlite3.connect(directory / "ccproxy.sqlite3")) as database:
        return {text for (text, *_) in database.execute(sql)}


@dataclass(frozen=True)
class Made:
    """Two config directories, each with a database that one process made, and what it said."""

    light: Path
    by_command: dict[str, Any]
    full: Path
    by_console: dict[str, Any]
    found: dict[Role, dict[str, Any]]
    """What light processes say that find the database; the first rows of a new one take more."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    light, full = tmp_path_factory.mktemp("light"), tmp_path_factory.mktemp("full")
    by_command, by_console = report(light, Role.CLI), report(full, Role.CONSOLE)
    found = {role: report(light, role) for role in (Role.RECORDER, Role.CLI)}
    return Made(light, by_command, full, by_console, found)


def test_the_console_loads_no_client_that_it_never_uses(made: Made) -> None:
    for name in (
        "psycopg",
        "redis",
        "opentelemetry",
        "grpc",
        "requests",
        "pygments",
        "celery",
        "twisted",
    ):
        assert name not in made.by_console["loaded"], name


@pytest.mark.parametrize("role", [Role.RECORDER, Role.CLI])
def test_a_light_process_loads_no_pages(made: Made, role: Role) -> None:
    for name in (*PAGES_ONLY, *WHERE_ASKED_FOR):
        assert name not in made.found[role]["loaded"], name
    assert made.found[role]["unresolved"] == []


def test_a_light_process_makes_every_table(made: Made) -> None:
    assert made.by_command["created"]
    assert made.by_console["created"]
    for sql in (
        "SELECT name FROM sqlite_master WHERE type = 'table'",
        "SELECT app_label || model FROM django_content_type",
        "SELECT codename FROM auth_permission",
        "SELECT app || name FROM django_migrations",
    ):
        names = texts(made.light, sql)
        assert names and names == texts(made.full, sql), sql
    assert not made.found[Role.RECORDER]["created"]


def test_the_migrating_process_has_every_application_with_tables() -> None:
    # This process has the console's applications.
    with_tables = {
        config.name for config in registry.get_app_configs() if list(config.get_models())
    }
    installed = {AppConfig.create(name).name for name in apps_of(Role.MIGRATION)}
    assert installed == with_tables


def test_the_variable_is_of_this_process_alone() -> None:
    environ = {"CCPROXY_ROLE": "recorder"}
    assert take_role(environ) is Role.RECORDER
    assert environ == {}
    assert take_role(environ) is Role.CONSOLE


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="CCPROXY_ROLE must be one of console, recorder, cli, migration"
    ):
        take_role({"CCPROXY_ROLE": "recoder"})


def test_every_application_has_its_reason() -> None:
    assert apps_of(Role.CONSOLE) == [app.name for app in APPS]
    assert all(app.reason for app in APPS)
