"""Fixtures that plugins put around every test, left out where they would do nothing.

pytest-django's act on a mark or beside another fixture, which few tests have; to set up all of them
takes a millisecond of CPU time a test.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

NEEDS_MARK: Final = {
    "_django_db_marker": "django_db",
    "_django_set_urlconf": "urls",
    "_django_isolate_apps": "django_isolate_apps",
    "_template_string_if_invalid_marker": "ignore_template_errors",
}
NEEDS_FIXTURE: Final = {
    "_live_server_helper": "live_server",
    "_dj_autoclear_mailbox": "mailoutbox",
}
USELESS: Final = {
    # django.contrib.sites is not installed.
    "_django_clear_site_cache",
    # It changes settings where FAIL_INVALID_TEMPLATE_VARS is set.
    "_fail_for_invalid_template_variable",
    # No test stands in a class of unittest.
    "_django_setup_unittest",
    # The fixtures and tests that need them ask for them.
    "django_db_blocker",
    "event_loop_policy",
}


def leave_out_idle_fixtures(item: pytest.Item) -> None:
    """Take the fixtures that would do nothing from a test's list."""
    if not isinstance(item, pytest.Function) or item.cls is not None:
        return
    idle = idle_fixtures(item)
    item.fixturenames = [name for name in item.fixturenames if name not in idle]


def idle_fixtures(item: pytest.Function) -> set[str]:
    """Return the names of a test's fixtures that would do nothing."""
    names = set(item.fixturenames)
    idle = {name for name, mark in NEEDS_MARK.items() if item.get_closest_marker(mark) is None}
    idle |= {name for name, other in NEEDS_FIXTURE.items() if other not in names}
    idle |= USELESS
    if not is_asked_for("monkeypatch", item, names - idle):
        idle.add("monkeypatch")
    return idle & names


def is_asked_for(fixture: str, item: pytest.Function, others: set[str]) -> bool:
    """Tell if the test itself or one of the other fixtures uses the fixture."""
    info: Any = item._fixtureinfo
    if fixture in info.argnames or any(
        fixture in mark.args for mark in item.iter_markers("usefixtures")
    ):
        return True
    definitions = info.name2fixturedefs
    return any(
        fixture in definition.argnames
        for name in others
        for definition in definitions.get(name, ())
    )
