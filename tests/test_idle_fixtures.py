"""A test is set up with the fixtures that do something for it, and with no others."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from tests.idle_fixtures import NEEDS_FIXTURE, NEEDS_MARK, USELESS

RUN_WIDE = {"django_test_environment", "patched_run", "tmp_path_factory"}
URLCONF = settings.ROOT_URLCONF
urlpatterns: list[object] = []


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> str:
    """A fixture that uses another one, which its test does not name."""
    monkeypatch.setenv("CCPROXY_TEST_VARIABLE", "set")
    return "CCPROXY_TEST_VARIABLE"


def test_a_plain_test_has_none_of_a_plugin(request: pytest.FixtureRequest) -> None:
    assert set(request.fixturenames) == RUN_WIDE | {"kept_process", "request"}


def test_plugins_still_have_them(request: pytest.FixtureRequest) -> None:
    """A plugin that renames one would set it up at every test again."""
    for name in {*NEEDS_MARK, *NEEDS_FIXTURE, *USELESS}:
        assert request.session._fixturemanager.getfixturedefs(name, request.node), name


@pytest.mark.django_db
def test_a_mark_brings_the_database() -> None:
    assert User.objects.count() == 0


@pytest.mark.urls(__name__)
def test_a_mark_brings_other_urls() -> None:
    assert settings.ROOT_URLCONF == __name__ != URLCONF


def test_a_fixture_brings_another(variable: str, request: pytest.FixtureRequest) -> None:
    assert "monkeypatch" in request.fixturenames
    assert "_django_db_marker" not in request.fixturenames


@pytest.mark.usefixtures("monkeypatch")
def test_a_mark_brings_a_fixture(request: pytest.FixtureRequest) -> None:
    assert "monkeypatch" in request.fixturenames
