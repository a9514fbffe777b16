"""One navigation on every page: complete, the same in console and admin, and no link that refuses."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.test.utils import override_script_prefix
from django.urls import resolve, reverse

from ccproxy_site.frame.navigation import NAVIGATION, Page
from tests.visitors import staff_with

pytestmark = pytest.mark.django_db
PAGES = [page for section in NAVIGATION for page in section.pages]
LINK = re.compile(r'<a href="([^"]+)"\s+data-words="[^"]*"\s*(aria-current="page")?\s*>([^<]+)</a>')


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def owner() -> User:
    return User.objects.create_superuser("owner")


def links(client: Client, path: str) -> list[tuple[str, str, str]]:
    """Address, flag and title of each link of a page's navigation."""
    return LINK.findall(client.get(path).content.decode())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_asks_for_the_rights_of_its_page(page: Page) -> None:
    view = resolve(reverse(page.name)).func
    declared = getattr(view, "rights", None)
    if declared is not None:
        assert page.rights == tuple(declared)
    else:
        assert page.name.startswith("admin:") or page.name == "api-docs"


def test_every_model_of_the_admin_is_in_the_navigation() -> None:
    names = {page.name for page in PAGES}
    models = {
        f"admin:{m._meta.app_label}_{m._meta.model_name}_changelist" for m in admin.site._registry
    }
    assert models <= names


@pytest.mark.parametrize(
    "rights", [(), ("flows.view_flow",), ("providers.view_provider", "shapes.view_shape")]
)
def test_a_visitor_sees_the_links_that_open_alone(rights: tuple[str, ...]) -> None:
    client = client_of(staff_with("visitor", *rights))
    shown = links(client, "/admin/")
    for address, _, title in shown:
        assert client.get(address).status_code == 200, title
    hidden = {reverse(page.name) for page in PAGES} - {address for address, _, _ in shown}
    for address in hidden:
        assert client.get(address).status_code == 403, address


def test_console_and_admin_show_the_same_navigation() -> None:
    client = client_of(owner())
    titles = [page.title for page in PAGES]
    for path in ("/flows/", "/usage/", "/admin/", "/admin/providers/provider/", "/nowhere/"):
        assert [title for _, _, title in links(client, path)] == titles, path


@pytest.mark.parametrize(
    "path, title",
    [
        ("/flows/", "Flows"),
        ("/flows/import/", "Import flows"),
        ("/flows/session/none/", "Sessions"),
        ("/flows/sessions/", "Sessions"),
        ("/admin/", "Status"),
        ("/admin/providers/provider/add/", "Providers"),
        ("/admin/providers/provider/auth-board/", "Credentials"),
        ("/nowhere/", None),
    ],
)
def test_the_page_of_the_visit_is_flagged(path: str, title: str | None) -> None:
    shown = links(client_of(owner()), path)
    assert [name for _, flag, name in shown if flag] == ([title] if title else [])


def test_a_visitor_without_staff_status_gets_no_navigation() -> None:
    assert links(client_of(User.objects.create_user("reader")), "/nowhere/") == []


def test_links_begin_with_the_prefix_that_a_server_in_front_gives() -> None:
    client = client_of(owner())
    without = {address for address, _, _ in links(client, "/flows/")}
    with override_script_prefix("/console/"):
        below = {address for address, _, _ in links(client, "/flows/")}
    assert below == {f"/console{address}" for address in without}
