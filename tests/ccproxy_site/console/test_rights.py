"""Who may open what: every page, REST resource and websocket, for every kind of visitor.

A page without declared rights fails here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from flows.routing import websocket_urlpatterns
from tests.visitors import staff_with
from tests.websocket_page import WebsocketPage

pytestmark = pytest.mark.django_db

ROLES: dict[str, tuple[str, ...]] = {
    "nobody": (),
    "viewer": ("flows.view_flow", "flows.view_usagedaily"),
    "editor": (
        "flows.view_flow", "flows.change_flow", "flows.delete_flow", "flows.add_flow",
        "flows.add_resend", "providers.view_transformrule", "shapes.view_shape",
    ),
}  # fmt: skip
OPEN = {"login-link", "schema", "docs", "api-root"}
"""Names of pages that show nothing recorded: to log in, and the description of REST."""
STAFF = {"save-filter", "change-filter"}
"""Pages of each member of the staff: their own filters."""
SAMPLE: dict[str, Any] = {"int": 1, "str": "none", "path": "none", "slug": "none", "uuid": "none"}


def patterns(found: Any, prefix: str = "/") -> Iterator[tuple[str, URLPattern]]:
    """All routes below a resolver, with the text of their path."""
    for one in found:
        text = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            if one.namespace != "admin":
                yield from patterns(one.url_patterns, text)
        else:
            yield text, one


PAGES = [
    (text, one)
    for text, one in patterns(get_resolver().url_patterns)
    if not text.startswith("/api/") and one.name not in OPEN and text != "/"
]


def path_of(text: str) -> str:
    """`/flows/<str:flow_id>/body/<str:source>` → `/flows/none/body/none`."""
    parts = []
    for part in text.split("/"):
        kind = part.partition(":")[0].removeprefix("<")
        parts.append(str(SAMPLE[kind]) if part.startswith("<") else part)
    return "/".join(parts)


def visitor(role: str) -> User:
    return staff_with(role, *ROLES[role])


def test_every_page_declares_its_rights() -> None:
    assert len(PAGES) > 20
    for text, page in PAGES:
        rights = getattr(page.callback, "rights", None)
        assert rights is not None, f"{text}: wrap the view in staff_page or console_page"
        assert rights or page.name in STAFF, f"{text} asks for no right"


@pytest.mark.parametrize("role", ROLES)
def test_pages_are_open_to_those_with_the_rights_alone(role: str) -> None:
    client = Client(raise_request_exception=False)
    user = visitor(role)
    client.force_login(user)
    for text, page in PAGES:
        may = user.has_perms(page.callback.rights)  # type: ignore[attr-defined]
        for method in ("get", "post"):
            status = getattr(client, method)(path_of(text)).status_code
            assert (status == 403) == (not may) or status == 405, (role, method, text, status)


def test_the_dashboard_shows_what_a_visitor_may_see() -> None:
    client = Client()
    client.force_login(visitor("nobody"))
    shown = client.get("/admin/").content.decode()
    assert "Last 24 h" not in shown
    assert "api.anthropic.com" not in shown
    client.force_login(visitor("viewer"))
    assert "Last 24 h" in client.get("/admin/").content.decode()


@pytest.mark.parametrize("path", ["/api/flows/", "/api/usage/", "/api/usage/?days=1"])
@pytest.mark.parametrize("role", ROLES)
def test_rest_asks_for_the_same(role: str, path: str) -> None:
    client = Client()
    client.force_login(user := visitor(role))
    may = user.has_perm("flows.view_flow")
    assert (client.get(path).status_code == 403) == (not may)


def test_a_refusal_says_which_right_is_missing() -> None:
    client = Client()
    client.force_login(visitor("nobody"))
    shown = client.get("/flows/").content.decode()
    assert "This needs the right flows.view_flow" in shown
    assert '<link rel="stylesheet"' in shown


def test_an_address_of_nothing_is_named_and_harmless() -> None:
    client = Client()
    client.force_login(visitor("viewer"))
    reply = client.get("/nowhere/<script>alert(1)</script>")
    assert reply.status_code == 404
    assert "leads nowhere" in reply.content.decode()
    assert "<script>alert" not in reply.content.decode()


@pytest.mark.parametrize("path", ["/nowhere/", "/shapes/"])
@pytest.mark.parametrize("role", ["anonymous", *ROLES])
def test_a_page_of_a_failure_leads_only_where_the_visitor_may_go(role: str, path: str) -> None:
    client = Client()
    if role != "anonymous":
        client.force_login(visitor(role))
    shown = client.get(path, follow=True).content.decode()
    ways = re.findall(r"<main.*?</main>", shown, re.DOTALL)
    for address in re.findall(r'href="(/[^"]*)"', "".join(ways)):
        assert client.get(address).status_code == 200, address
    assert role != "viewer" or 'href="/flows/"' in "".join(ways)


def test_a_visitor_who_is_no_staff_sees_nothing() -> None:
    client = Client()
    client.force_login(User.objects.create_user("reader"))
    for text, _ in PAGES:
        reply = client.get(path_of(text))
        assert reply.status_code in (403, 405), (text, reply.status_code)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("role", [*ROLES, "anonymous", "superuser"])
async def test_websockets_ask_for_the_same(role: str) -> None:
    def user() -> Any:
        if role == "anonymous":
            return AnonymousUser()
        if role == "superuser":
            return User.objects.create_superuser("root")
        return visitor(role)

    found = await database_sync_to_async(user)()
    router = URLRouter(websocket_urlpatterns)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await router({**scope, "user": found}, receive, send)

    for path in ("/ws/flows/", "/ws/flows/none/"):
        headers = [(b"origin", b"http://h"), (b"host", b"h")]
        socket = WebsocketPage(application, path, headers)
        opened, _ = await socket.connect()
        assert opened == (role not in ("nobody", "anonymous")), (role, path)
        await socket.disconnect()
