"""Preview of a shape: what would leave for a recorded request, by page, REST and command."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from flows.models import Flow
from interceptor.models import HookSetting
from providers.base.errors import CcproxyError
from shapes.models import Shape
from tests.api.conftest import client_of
from tests.parts import change_sides
from tests.rows import make_provider
from tests.shapes.captured import recorded_sdk_flow, stored_shape

pytestmark = pytest.mark.django_db


@pytest.fixture
def shape() -> Shape:
    """A stored version; it is neither active nor confirmed."""
    make_provider()
    HookSetting.objects.get_or_create(stage="inbound", name="inject_auth")
    HookSetting.objects.get_or_create(stage="outbound", name="shape")
    HookSetting.objects.filter(name__in=("shape", "inject_auth")).update(enabled=True)
    return stored_shape()


@pytest.fixture
def flow() -> Flow:
    """A recorded request of an SDK."""
    return recorded_sdk_flow()


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", response.content.decode()))


def test_the_page_shows_what_would_leave(admin: Client, shape: Shape, flow: Flow) -> None:
    chosen = text_of(admin.get("/shapes/anthropic/1/preview/"))
    assert "anthropic-sdk/1.0" in chosen
    page = text_of(admin.get(f"/shapes/anthropic/1/preview/?flow={flow.pk[:13]}"))
    assert "x-stainless-os Linux shape" in page
    assert "system caching.insert" in page
    assert "messages client" in page
    assert "You are a reference client." in page
    assert not Shape.objects.get().active
    assert Flow.objects.count() == 2


def test_a_request_that_would_not_take_it_says_why(admin: Client, shape: Shape, flow: Flow) -> None:
    change_sides(flow.pk, "client", headers=[["x-api-key", "sk-ccproxy-nobody"]])
    page = text_of(admin.get(f"/shapes/anthropic/1/preview/?flow={flow.pk}"))
    assert "The request would be refused" in page
    HookSetting.objects.filter(name="shape").update(enabled=False)
    headers = [["x-api-key", "sk-ccproxy-anthropic"], ["content-type", "application/json"]]
    change_sides(flow.pk, "client", headers=headers)
    page = text_of(admin.get(f"/shapes/anthropic/1/preview/?flow={flow.pk}"))
    assert "is not among the hooks, or is switched off" in page
    assert "There is no flow" in text_of(admin.get("/shapes/anthropic/1/preview/?flow=none"))
    assert admin.get("/shapes/anthropic/2/preview/").status_code == 404


def test_a_genuine_client_would_stay_as_it_is(admin: Client, shape: Shape, flow: Flow) -> None:
    genuine = [
        ["x-api-key", "sk-ccproxy-anthropic"],
        ["user-agent", "claude-cli/2.0 (external, cli)"],
        ["content-type", "application/json"],
    ]
    change_sides(flow.pk, "client", headers=genuine)
    page = text_of(admin.get(f"/shapes/anthropic/1/preview/?flow={flow.pk}"))
    assert "not shaped: the client is claude-cli itself" in page


def test_rest_returns_the_origins(shape: Shape, flow: Flow) -> None:
    api: APIClient = client_of(User.objects.create_superuser("boss"))
    path = f"/api/shapes/{shape.pk}/preview/"
    found = api.post(path, {"flow": flow.pk}, format="json").json()
    assert found["origins"]["header:x-stainless-os"] == "shape"
    assert json.loads(found["forwarded"]["body"])["messages"][0]["content"] == "Hi"
    assert api.post(path, {"flow": 7}, format="json").status_code == 400
    assert api.post(path, [], format="json").status_code == 400
    assert api.post(path, {"flow": "none"}, format="json").status_code == 404
    assert api.post("/api/shapes/999/preview/", {"flow": flow.pk}, format="json").status_code == 404
    clerk = client_of(User.objects.create_user("clerk", is_staff=True))
    assert clerk.post(path, {"flow": flow.pk}, format="json").status_code == 403


def test_the_command_prints_it(shape: Shape, flow: Flow) -> None:
    out = StringIO()
    call_command("shapes", "preview", flow.pk[:13], stdout=out)
    assert "With anthropic v1." in out.getvalue()
    assert "  body:system: caching.insert" in out.getvalue()
    assert "+user-agent" not in out.getvalue()
    out = StringIO()
    call_command("shapes", "preview", flow.pk, "--version", "1", "--json", stdout=out)
    assert json.loads(out.getvalue())["shape"] == "anthropic v1"
    with pytest.raises(CcproxyError, match="There is no shape of gemini"):
        call_command("shapes", "preview", flow.pk, "--type", "gemini", stdout=out)
