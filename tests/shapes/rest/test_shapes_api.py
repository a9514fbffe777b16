"""REST of shapes and profiles."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from flows.bodies.complete_flow import CompleteFlow
from providers.models import AuditEntry
from shapes.models import Shape, ShapingProfile
from shapes.versions.activation import TERMS
from shapes.versions.rights import RIGHTS
from tests.api.conftest import client_of
from tests.shapes.captured import CANARY, captured_flow, client_body, stored_shape

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> APIClient:
    return client_of(User.objects.create_superuser("boss"))


def reviewed(api: APIClient, captured: CompleteFlow, **fields: Any) -> Any:
    asked = {"provider_type": "anthropic", "flow": captured.flow.pk, **fields}
    return api.post("/api/shapes/review/", asked, format="json")


def test_a_flow_is_reviewed_and_then_stored_as_it_was_reviewed(api: APIClient) -> None:
    flow = captured_flow()
    found = reviewed(api, flow).json()
    assert found["shape"]["body"] == {"system": client_body()["system"][:2]}
    listed = {(one["kind"], one["place"], one["outcome"]) for one in found["findings"]}
    assert ("e-mail address", "system.2", "left out") in listed
    assert not Shape.objects.exists()
    asked = {"provider_type": "anthropic", "flow": flow.flow.pk, "activate": True, "notes": "n"}
    stale = api.post("/api/shapes/", {**asked, "digest": "0" * 32}, format="json")
    assert (stale.status_code, Shape.objects.count()) == (409, 0)
    stored = api.post("/api/shapes/", {**asked, "digest": found["digest"]}, format="json")
    assert (stored.status_code, stored.json()["version"], stored.json()["active"]) == (201, 1, True)
    assert CANARY not in stored.content.decode()
    again = api.post("/api/shapes/", {**asked, "digest": found["digest"]}, format="json")
    assert (again.status_code, again.json()["detail"]) == (
        409,
        "anthropic v1 has this content already.",
    )


def test_without_a_flow_the_newest_valid_one_is_taken(api: APIClient) -> None:
    empty = api.post("/api/shapes/review/", {"provider_type": "anthropic"}, format="json")
    assert "ccproxy jail" in empty.json()["flow"][0]
    flow = captured_flow()
    found = api.post("/api/shapes/review/", {"provider_type": "anthropic"}, format="json")
    assert found.json()["flow"] == flow.flow.pk
    [candidate] = api.get("/api/shapes/candidates/").json()
    assert (candidate["flow_id"], candidate["calls"]) == (flow.flow.pk, 1)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"flow": "none"}, "flow"),
        ({"flow": 7, "provider_type": []}, "provider_type"),
        ({"provider_type": "antropic"}, "flow"),
        ({"provider_type": "gemini"}, "flow"),
        ({"keep": "x"}, "keep"),
        ({"keep": [1, {}]}, "keep"),
        ({"kepe": []}, "kepe"),
    ],
)
def test_a_review_that_cannot_be_is_a_400(
    api: APIClient, fields: dict[str, Any], place: str
) -> None:
    response = reviewed(api, captured_flow(), **fields)
    assert (response.status_code, list(response.json())) == (400, [place])


def test_versions_are_activated_compared_changed_and_deleted(api: APIClient) -> None:
    first, second = stored_shape("1.0.0", activate=True), stored_shape("2.0.0")
    activated = api.post(f"/api/shapes/{second.pk}/activate/")
    assert activated.json()["active"]
    assert activated["x-ccproxy-revision"]
    assert [row["active"] for row in api.get("/api/shapes/?provider_type=anthropic").json()] == [
        True,
        False,
    ]
    assert api.get("/api/shapes/?provider_type=zai").json() == []
    diff = api.get(f"/api/shapes/{first.pk}/diff/{second.pk}/").json()
    assert "+user-agent: claude-cli/2.0.0 (external, sdk-cli)" in diff["diff"]
    assert api.get(f"/api/shapes/{first.pk}/diff/999/").status_code == 404
    patched = api.patch(
        f"/api/shapes/{first.pk}/", {"active": True, "notes": "back"}, format="json"
    )
    assert (patched.json()["active"], patched.json()["notes"]) == (True, "back")
    assert not Shape.objects.get(pk=second.pk).active
    assert not api.post(f"/api/shapes/{first.pk}/deactivate/").json()["active"]
    shown = api.get(f"/api/shapes/{first.pk}/").json()
    assert shown["outcomes"] == {"accepted": 0, "refused": 0, "failed": 0}
    assert shown["headers"][0] == ["accept", "application/json"]
    assert api.delete(f"/api/shapes/{first.pk}/").status_code == 204
    actions = AuditEntry.objects.filter(source="api").values_list("action", flat=True)
    assert sorted(actions) == [
        "shape-activate",
        "shape-activate",
        "shape-deactivate",
        "shape-delete",
    ]


def test_content_cannot_be_changed(api: APIClient) -> None:
    shape = stored_shape()
    response = api.patch(f"/api/shapes/{shape.pk}/", {"body": "{}"}, format="json")
    assert response.status_code == 400
    api.patch(f"/api/shapes/{shape.pk}/", {"version": 9, "provider_type": "zai"}, format="json")
    shape.refresh_from_db()
    assert (shape.version, shape.provider_type) == (1, "anthropic")


def test_a_file_goes_out_and_comes_back(api: APIClient) -> None:
    shape = stored_shape("1.0.0")
    file = api.get(f"/api/shapes/{shape.pk}/mflow/")
    assert file["Content-Disposition"] == 'attachment; filename="anthropic.mflow"'
    path = "/api/shapes/import/?provider_type=anthropic"
    kind = "application/octet-stream"
    assert api.post(path, file.content, content_type=kind).status_code == 409
    api.delete(f"/api/shapes/{shape.pk}/")
    made = api.post(path, file.content, content_type=kind)
    assert (made.status_code, made.json()["active"]) == (201, False)
    cut = api.post(path, file.content[:-3], content_type=kind)
    assert (cut.status_code, "cut off" in cut.json()["detail"]) == (400, True)
    assert api.post("/api/shapes/import/", file.content, content_type=kind).status_code == 400
    huge = api.post(path, b"1", content_type=kind, CONTENT_LENGTH="99999999999")
    assert huge.status_code == 413
    assert Shape.objects.count() == 1


# Profiles


def test_profiles_have_shipped_values_until_they_are_changed(api: APIClient) -> None:
    listed = api.get("/api/shaping-profiles/").json()
    assert [row["provider_type"] for row in listed] == ["anthropic", "gemini", "openai_responses"]
    changed = api.patch(
        "/api/shaping-profiles/anthropic/",
        {"merge_strategies": {"system": "prepend_shape:1"}, "billing_salt": "0a0b"},
        format="json",
    )
    assert changed.status_code == 200
    assert "billing_salt" not in changed.json()
    assert ShapingProfile.of("anthropic").merge_strategies == {"system": "prepend_shape:1"}
    refused = api.patch(
        "/api/shaping-profiles/anthropic/",
        {"path_pattern": "(", "content_fields": 3},
        format="json",
    )
    assert sorted(refused.json()) == ["content_fields", "path_pattern"]
    own = api.patch(
        "/api/shaping-profiles/anthropic/", {"shape_hooks": ["my.own.hook"]}, format="json"
    )
    assert "runs code on the server" in own.json()["shape_hooks"][0]
    assert api.get("/api/shaping-profiles/nobody/").status_code == 404


def test_terms_are_confirmed_with_their_sentence(api: APIClient) -> None:
    path = "/api/shaping-profiles/anthropic/acknowledge/"
    for bad in ({}, {"confirm": True}, {"confirm": "yes"}):
        assert api.post(path, bad, format="json").status_code == 400
    assert api.post(path, {"confirm": TERMS}, format="json").json()["acknowledged_by"] == "boss"
    withdrawn = api.post("/api/shaping-profiles/anthropic/withdraw/").json()
    assert (withdrawn["acknowledged_by"], withdrawn["acknowledged_at"]) == ("", None)


# Rights


def test_every_act_needs_its_right() -> None:
    user = User.objects.create_user("clerk", is_staff=True)
    client = client_of(user)
    shape = stored_shape()
    acts = {
        "look": ("get", "/api/shapes/"),
        "capture": ("post", "/api/shapes/review/"),
        "change": ("post", f"/api/shapes/{shape.pk}/activate/"),
        "delete": ("delete", f"/api/shapes/{shape.pk}/"),
        "acknowledge": ("post", "/api/shaping-profiles/anthropic/acknowledge/"),
        "edit-profile": ("patch", "/api/shaping-profiles/anthropic/"),
    }
    for act, (method, path) in acts.items():
        assert getattr(client, method)(path, {}, format="json").status_code == 403, act
    names = [right.partition(".")[2] for act in acts for right in RIGHTS[act]]  # type: ignore[index]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    for act, (method, path) in acts.items():
        assert getattr(client, method)(path, {}, format="json").status_code != 403, act
