"""A page that is refused is one line in the log, without a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from ccproxy_site import urls
from ccproxy_site.process.logging import configure_logging

pytestmark = pytest.mark.django_db


def refusing(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied("not yours")


def broken(request: HttpRequest) -> HttpResponse:
    raise ValueError("a defect")


# The page of a refusal has the console's navigation, which leads to the product's own pages.
urlpatterns = [*urls.urlpatterns, path("refusing/", refusing), path("broken/", broken)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for handler in handlers:
        root.removeHandler(handler)  # kept open: they are pytest's
    configure_logging(tmp_path / "ccproxy.log", "INFO", to_stderr=False)
    yield tmp_path / "ccproxy.log"
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def client() -> Client:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.mark.urls(__name__)
def test_permission_denied(client: Client, log: Path) -> None:
    assert client.get("/refusing/").status_code == 403
    (line,) = log.read_text().splitlines()
    assert "Forbidden (Permission denied): /refusing/" in line


def test_a_missing_csrf_token(client: Client, log: Path) -> None:
    assert client.post("/admin/logout/").status_code == 403
    (line,) = log.read_text().splitlines()
    assert "Forbidden (CSRF cookie not set.): /admin/logout/" in line


@pytest.mark.urls(__name__)
def test_a_defect_keeps_its_traceback(client: Client, log: Path) -> None:
    assert client.get("/broken/").status_code == 500
    assert "| ValueError: a defect" in log.read_text()
