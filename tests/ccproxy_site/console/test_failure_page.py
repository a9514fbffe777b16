"""A page that failed says that flows are not stored, without asking the database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import RequestFactory
from django.urls import get_resolver

from ccproxy_site.console.recording_word import RECORDING


@pytest.fixture(autouse=True)
def _recording() -> Iterator[None]:
    yield
    RECORDING.hear("")


@pytest.mark.parametrize("problem", ["", "the database does not take flows"])
def test_the_page_needs_no_database(problem: str) -> None:
    RECORDING.hear(problem)
    page = get_resolver().resolve_error_handler(500)(RequestFactory().get("/flows/"))
    assert page.status_code == 500
    text = page.content.decode()
    assert "This page failed" in text
    assert ('id="recording-notice"' in text) == bool(problem)
    assert problem in text
