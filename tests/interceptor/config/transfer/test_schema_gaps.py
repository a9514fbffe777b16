"""A database that lacks what its migrations promise is mended; one that cannot be is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.db import connection

from flows.models import Flow, SavedFilter
from interceptor.config.transfer.database import ensure_database
from interceptor.config.transfer.schema_gaps import misfit, repair
from providers.base.errors import ConfigError
from providers.models import FailureCount

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def mended() -> Iterator[None]:
    """Tests after these need whole tables."""
    yield
    repair()


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def index_columns(name: str) -> list[str]:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Flow._meta.db_table)
    return list(found[name]["columns"])


def test_a_whole_database_is_left_alone() -> None:
    assert misfit() == ""
    assert repair() == []


def test_a_column_comes_back_and_rows_stay(django_user_model: type[User]) -> None:
    owner = django_user_model.objects.create_user("ada")
    SavedFilter.objects.create(owner=owner, name="kept", query="status=500")
    run("ALTER TABLE flows_savedfilter DROP COLUMN shared")
    assert misfit() == "no column shared in table flows_savedfilter"
    state = ensure_database(check_columns=True)
    assert state.notes == ("mended the database: no column shared in table flows_savedfilter",)
    assert [(row.name, row.shared) for row in SavedFilter.objects.all()] == [("kept", False)]
    assert misfit() == ""


def test_a_table_comes_back() -> None:
    run("DROP TABLE providers_failurecount")
    assert misfit() == "no table providers_failurecount"
    assert repair() == ["no table providers_failurecount"]
    assert FailureCount.objects.count() == 0


def test_an_index_gets_its_columns() -> None:
    whole = index_columns("flow_newest")
    run("DROP INDEX flow_newest")
    run("CREATE INDEX flow_newest ON flows_flow (started_at DESC, id DESC)")
    run("DROP INDEX flow_run")
    assert misfit() == ""  # slower, but it can be written
    assert repair() == ["no index flow_newest, flow_run on table flows_flow"]
    assert index_columns("flow_newest") == whole
    assert index_columns("flow_run")


def test_a_column_of_nobody_is_refused() -> None:
    run("DROP TABLE providers_failurecount")
    run("CREATE TABLE providers_failurecount (id integer NOT NULL, strange integer NOT NULL)")
    try:
        with pytest.raises(ConfigError, match=r"unknown column|no column"):
            ensure_database(check_columns=True)
    finally:
        run("DROP TABLE providers_failurecount")
