from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from tests.api.conftest import RESOURCES
from tests.rows import make_provider


@pytest.mark.parametrize("resource", [*RESOURCES, "schema"])
def test_strangers_get_nothing(resource, stranger: APIClient):
    path = f"/api/{resource}/"
    anonymous = APIClient().get(path)
    assert (anonymous.status_code, anonymous["WWW-Authenticate"]) == (401, "Token")
    assert stranger.get(path).status_code == 403
    assert APIClient(headers={"authorization": "Token wrong"}).get(path).status_code == 401


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_reader_reads_only(resource, reader: APIClient):
    assert reader.get(f"/api/{resource}/").status_code == 200
    assert reader.post(f"/api/{resource}/", {}, format="json").status_code in (403, 405)
    assert reader.delete(f"/api/{resource}/1/").status_code in (403, 405)


def test_staff_without_the_view_right_do_not_read(db):
    client = APIClient()
    client.force_authenticate(User.objects.create_user("clerk", is_staff=True))
    assert client.get("/api/flows/").status_code == 403
    assert client.get("/api/providers/").status_code == 403


def test_a_session_needs_the_csrf_token_to_write(db):
    make_provider()
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("boss"))
    assert client.get("/api/providers/").status_code == 200
    refused = client.delete("/api/providers/anthropic/")
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["detail"]


def test_the_index_lists_every_resource(api: APIClient):
    assert sorted(api.get("/api/").json()) == sorted([*RESOURCES, "audit", "saved-filters"])


def test_other_origins_get_no_permission_to_read(api: APIClient):
    answer = api.get("/api/providers/", headers={"origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
