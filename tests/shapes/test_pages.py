"""Pages of shapes, without a browser."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from providers.models import AuditEntry
from shapes.console.body_fields import body_fields
from shapes.files.directory import mflow_of
from shapes.models import Shape, ShapePatch, ShapingProfile
from shapes.urls import urlpatterns
from shapes.versions.rights import RIGHTS, Act
from tests.rows import make_flow
from tests.shapes.captured import CANARY, captured_flow, stored_shape

pytestmark = pytest.mark.django_db


def text_of(response: Any) -> str:
    """The page's text without markup and extra spaces."""
    text = re.sub(r"<[^>]*>", "", response.content.decode())
    return re.sub(r"\s+", " ", text)


def form_digest(page: str) -> str:
    found = re.search(r'name="digest" value="([0-9a-f]+)"', page)
    assert found
    return found[1]


def test_an_empty_list_says_how_to_begin(admin: Client) -> None:
    page = text_of(admin.get("/shapes/"))
    assert "ccproxy shapes save anthropic" in page
    assert "Profiles without shapes: anthropic, gemini, openai_responses" in page


def test_the_list_shows_versions_news_and_the_terms(admin: Client) -> None:
    stored_shape("2.1.331", activate=True, age_s=90)
    captured_flow("2.1.332", age_s=10)
    page = text_of(admin.get("/shapes/"))
    assert "A new release of the client was seen: claude-cli 2.1.332" in page
    assert "terms not confirmed: nothing is shaped" in page
    assert "0 ok, 0 refused" in page
    admin.post("/shapes/anthropic/acknowledge")
    assert not ShapingProfile.of("anthropic").is_acknowledged
    admin.post("/shapes/anthropic/acknowledge", {"sure": "on"})
    page = text_of(admin.get("/shapes/"))
    assert "requests take v1" in page
    assert "Terms confirmed by ada" in page
    admin.post("/shapes/anthropic/acknowledge", {"withdraw": "1"})
    assert not ShapingProfile.of("anthropic").is_acknowledged


def test_a_rollback_is_offered_when_the_provider_refuses(admin: Client) -> None:
    first = stored_shape("1.0.0", activate=True)
    Shape.objects.update(activated_at=timezone.now() - timedelta(hours=1))
    stored_shape("2.0.0", activate=True)
    Shape.objects.filter(active=True).update(activated_at=timezone.now() - timedelta(minutes=10))
    make_flow(age_s=1200, shape="anthropic v1")
    for _ in range(3):
        make_flow(age_s=60, status_code=400, shape="anthropic v2")
    page = text_of(admin.get("/shapes/"))
    assert "v1: 1 ok, 0 refused; v2: 0 ok, 3 refused" in page
    admin.post("/shapes/anthropic/1/activate")
    assert Shape.objects.get(active=True) == first
    assert "Roll back" not in text_of(admin.get("/shapes/"))


def test_a_flow_is_reviewed_and_stored_once(admin: Client) -> None:
    flow = captured_flow()
    path = f"/shapes/capture/{flow.flow.pk}/"
    page = admin.get(path)
    assert "e-mail address system.2 ada@… (12) left out" in text_of(page)
    assert not Shape.objects.exists()
    stale = admin.post(path, {"type": "anthropic", "digest": "0", "activate": "on"})
    assert (stale.status_code, Shape.objects.count()) == (409, 0)
    assert "look at it again" in text_of(stale)
    sent = {
        "type": "anthropic",
        "digest": form_digest(page.content.decode()),
        "activate": "on",
        "notes": "first\0",
    }
    stored = admin.post(path, sent, follow=True)
    assert stored.redirect_chain[-1][0] == "/shapes/anthropic/1/"
    assert "Stored anthropic v1; requests take it now." in text_of(stored)
    assert CANARY not in stored.content.decode()
    assert Shape.objects.get().notes == "first"
    again = admin.post(path, sent, follow=True)
    assert "has this content already" in text_of(again)
    assert Shape.objects.count() == 1


def test_a_text_is_kept_where_the_person_ticks_it(admin: Client) -> None:
    flow = captured_flow(body={"messages": [], "odd": {"a": "word"}})
    path = f"/shapes/capture/{flow.flow.pk}/"
    assert '"odd": { "a": "placeholder" }' in text_of(admin.get(path)).replace("&quot;", '"')
    page = admin.get(f"{path}?keep=odd.a")
    assert '"odd": { "a": "word" }' in text_of(page).replace("&quot;", '"')
    sent = {"type": "anthropic", "digest": form_digest(page.content.decode()), "keep": "odd.a"}
    admin.post(path, sent)
    assert Shape.objects.get().body == '{"odd":{"a":"word"}}'


def test_a_candidate_is_compared_with_the_active_shape(admin: Client) -> None:
    stored_shape("2.1.331", activate=True)
    flow = captured_flow("2.1.332")
    page = text_of(admin.get(f"/shapes/capture/{flow.flow.pk}/?against=active"))
    assert "− user-agent claude-cli/2.1.331 (external, sdk-cli)" in page
    assert "+ user-agent claude-cli/2.1.332 (external, sdk-cli)" in page


@pytest.mark.parametrize(
    ("fields", "query", "reason"),
    [
        ({"status_code": 401}, "", "refused it with 401"),
        ({}, "?type=gemini", "not one of this provider type"),
        ({}, "?type=nothing", "no provider type"),
    ],
)
def test_a_flow_that_cannot_become_a_shape_says_why(
    admin: Client, fields: dict[str, Any], query: str, reason: str
) -> None:
    flow = captured_flow(**fields)
    page = admin.get(f"/shapes/capture/{flow.flow.pk}/{query}")
    assert page.status_code == 409
    assert reason in text_of(page)


def test_missing_things_are_404s(admin: Client) -> None:
    stored_shape()
    for path in (
        "/shapes/capture/none/",
        "/shapes/anthropic/9/",
        "/shapes/anthropic/99999999999999999999/",
        "/shapes/zai/1/",
        "/shapes/anthropic/1/diff/2/",
        "/shapes/anthropic/1/compare?with=x",
        "/shapes/anthropic/1/json?path=/none",
    ):
        assert admin.get(path).status_code == 404, path


@pytest.mark.parametrize("tab", ["request", "fields", "scrubbed", "tls", "patches", "nonsense"])
def test_every_tab_of_a_version(admin: Client, tab: str) -> None:
    shape = stored_shape()
    ShapePatch.objects.create(shape=shape, name="0001.patch", diff="--- a/shape.json\n")
    page = text_of(admin.get(f"/shapes/anthropic/1/?tab={tab}"))
    expected = {
        "request": "x-claude-code-session-id 00000000-0000-4000-8000-000000000000",
        "fields": "system the shape’s first 2, then the request’s",
        "scrubbed": "1 × account id",
        "tls": "t13d0306h2",
        "patches": "0001.patch",
        "nonsense": "Headers",
    }
    assert expected[tab] in page


def test_versions_are_compared_and_deleted(admin: Client) -> None:
    stored_shape("1.0.0")
    stored_shape("2.0.0")
    chosen = admin.get("/shapes/anthropic/2/compare?with=1")
    assert chosen["Location"] == "/shapes/anthropic/1/diff/2/"
    assert "claude-cli/2.0.0" in text_of(admin.get(chosen["Location"]))
    assert "Both have the same content" in text_of(admin.get("/shapes/anthropic/1/diff/1/"))
    admin.post("/shapes/anthropic/1/delete")
    assert Shape.objects.count() == 2
    admin.post("/shapes/anthropic/1/delete", {"sure": "on"})
    assert list(Shape.objects.values_list("version", flat=True)) == [2]
    assert AuditEntry.objects.filter(action="shape-delete", source="console").count() == 1


def test_a_broken_patch_is_named(admin: Client) -> None:
    stored_shape("1.0.0")
    shape = stored_shape("2.0.0")
    diff = "--- a/shape.json\n+++ b/shape.json\n@@ -1 +1 @@\n-nothing\n+else\n"
    ShapePatch.objects.create(shape=shape, name="0001.patch", diff=diff)
    page = text_of(admin.get("/shapes/anthropic/1/diff/2/"))
    assert "patch 0001.patch: the hunk @@ -1 +1 @@ does not match the shape" in page


def test_a_file_is_imported_and_stays_inactive(admin: Client) -> None:
    shape = stored_shape()
    data = mflow_of(shape)
    assert admin.get("/shapes/anthropic/1/mflow").content[:20]
    shape.delete()

    def send(content: bytes) -> str:
        file = SimpleUploadedFile("anthropic.mflow", content)
        sent = {"type": "anthropic", "file": file}
        return text_of(admin.post("/shapes/import", sent, follow=True))

    assert "Stored anthropic.mflow as anthropic v1; it is not active." in send(data)
    assert "has the content of anthropic.mflow already" in send(data)
    assert "is cut off, damaged" in send(data[:-4])
    assert "Choose a file first" in text_of(admin.post("/shapes/import", follow=True))
    assert Shape.objects.count() == 1


def test_the_flow_page_and_the_list_lead_to_the_review(admin: Client) -> None:
    flow = captured_flow()
    link = reverse("shapes:capture", args=[flow.flow.pk])
    assert f'href="{link}"' in admin.get(f"/flows/{flow.flow.pk}/").content.decode()
    assert f'href="{link}"' in admin.get("/flows/").content.decode()


def test_every_page_needs_the_right_of_its_act(client: Client) -> None:
    user = User.objects.create_user("clerk", is_staff=True)
    client.force_login(user)
    flow = captured_flow()
    stored_shape()
    pages: dict[str, tuple[str, Act, list[Any]]] = {
        "list": ("get", "look", []),
        "import": ("post", "capture", []),
        "capture": ("get", "capture", [flow.flow.pk]),
        "acknowledge": ("post", "acknowledge", ["anthropic"]),
        "deactivate": ("post", "change", ["anthropic"]),
        "detail": ("get", "look", ["anthropic", 1]),
        "json": ("get", "look", ["anthropic", 1]),
        "mflow": ("get", "look", ["anthropic", 1]),
        "compare": ("get", "look", ["anthropic", 1]),
        "activate": ("post", "change", ["anthropic", 1]),
        "delete": ("post", "delete", ["anthropic", 1]),
        "diff": ("get", "look", ["anthropic", 1, 1]),
    }
    assert sorted(pages) == sorted(str(pattern.name) for pattern in urlpatterns)
    for name, (method, act, arguments) in pages.items():
        path = reverse(f"shapes:{name}", args=arguments)
        user.user_permissions.clear()
        client.force_login(User.objects.get(pk=user.pk))
        assert getattr(client, method)(path).status_code == 403, name
        rights = [right.partition(".")[2] for right in RIGHTS[act]]
        user.user_permissions.set(Permission.objects.filter(codename__in=rights))
        client.force_login(User.objects.get(pk=user.pk))
        assert getattr(client, method)(path).status_code != 403, name


def test_fields_are_listed_in_the_order_in_which_they_leave() -> None:
    fields = body_fields(
        {"system": [], "own": 1, "b": 2},
        ["model", "own", "system"],
        ["model", "system", "b", "bad", "gone"],
        {"system": "prepend_shape", "b": "append_shape:1", "bad": "?", "gone": "drop"},
    )
    assert [(field.name, field.kind, field.words) for field in fields] == [
        ("model", "request", "the request"),
        ("own", "shape", "the shape"),
        ("system", "both", "the shape’s all, then the request’s"),
        ("b", "both", "the request’s, then the shape’s first 1"),
        ("bad", "request", "left out"),
        ("gone", "request", "left out"),
    ]
