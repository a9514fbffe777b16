"""Pinning a flow: from the console, over REST and in the shell; what is pinned stays."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from flows.models import Flow
from flows.queries.flow_set import FlowSetError
from flows.services import clear_flows
from tests.rows import make_flow

pytestmark = pytest.mark.django_db

PIN_BUTTON = 'data-act="pin"'
PIN_MARK = '<span class="pin" title="Pinned'


@pytest.fixture
def keeper() -> User:
    """Staff who may look at flows and change them."""
    user = User.objects.create_user("keeper", is_staff=True)
    rights = Permission.objects.filter(codename__in=("view_flow", "change_flow"))
    user.user_permissions.set(rights)
    return user


@pytest.fixture
def reader() -> User:
    """Staff who may only look at flows."""
    user = User.objects.create_user("reader", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_flow"))
    return user


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def api_of(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def is_pinned(flow: Flow) -> bool:
    flow.refresh_from_db()
    return flow.pinned


def flows(*arguments: str) -> str:
    out = StringIO()
    call_command("flows", *arguments, stdout=out)
    return out.getvalue()


# --- the console


def test_a_flow_is_pinned_and_unpinned_on_its_page(keeper: User):
    flow, browser = make_flow(), browser_of(keeper)
    page = f"/flows/{flow.pk}/"
    assert 'name="pinned" value="true"' in browser.get(page).content.decode()
    assert browser.post(f"{page}pin", {"pinned": "true"})["Location"] == page
    assert is_pinned(flow)
    assert 'name="pinned" value="false"' in browser.get(page).content.decode()
    browser.post(f"{page}pin", {"pinned": "false"})
    assert not is_pinned(flow)


def test_htmx_gets_the_new_button(keeper: User):
    flow = make_flow()
    response = browser_of(keeper).post(
        f"/flows/{flow.pk}/pin", {"pinned": "true"}, headers={"HX-Request": "true"}
    )
    html = response.content.decode()
    assert html.lstrip().startswith("<form")
    assert 'aria-pressed="true"' in html


def test_the_list_marks_pinned_flows_and_filters_by_them(keeper: User):
    pinned, other = make_flow(pinned=True), make_flow()
    html = browser_of(keeper).get("/flows/").content.decode()
    assert html.count('aria-pressed="true"') == 1
    assert html.count('aria-pressed="false"') == 1
    only = browser_of(keeper).get("/flows/?pinned=true").content.decode()
    assert f"f-{pinned.pk}" in only
    assert f"f-{other.pk}" not in only


def test_who_may_only_look_sees_the_mark_and_cannot_pin(reader: User):
    flow = make_flow(pinned=True)
    browser = browser_of(reader)
    html = browser.get("/flows/").content.decode()
    assert PIN_MARK in html
    assert PIN_BUTTON not in html
    assert browser.post(f"/flows/{flow.pk}/pin", {"pinned": "false"}).status_code == 403
    assert is_pinned(flow)


def test_a_flow_that_is_gone_cannot_be_pinned(keeper: User):
    assert browser_of(keeper).post("/flows/gone/pin").status_code == 404
    assert browser_of(keeper).get(f"/flows/{make_flow().pk}/pin").status_code == 405


# --- REST


def test_rest_pins_and_unpins(keeper: User):
    flow, api = make_flow(), api_of(keeper)
    address = f"/api/flows/{flow.pk}/"
    answer = api.patch(address, {"pinned": True}, format="json")
    assert (answer.status_code, answer.json()["pinned"]) == (200, True)
    assert is_pinned(flow)
    assert api.patch(address, {"pinned": False}, format="json").json()["pinned"] is False
    assert not is_pinned(flow)


@pytest.mark.parametrize(
    ("body", "field"), [({}, "pinned"), ({"pinned": "perhaps"}, "pinned"), ({"host": "x"}, "host")]
)
def test_rest_refuses_everything_else(keeper: User, body: dict[str, str], field: str):
    flow = make_flow()
    answer = api_of(keeper).patch(f"/api/flows/{flow.pk}/", body, format="json")
    assert (answer.status_code, list(answer.json())) == (400, [field])


def test_rest_needs_the_right_and_a_flow(keeper: User, reader: User):
    flow = make_flow()
    refused = api_of(reader).patch(f"/api/flows/{flow.pk}/", {"pinned": True}, format="json")
    assert refused.status_code == 403
    assert not is_pinned(flow)
    gone = api_of(keeper).patch("/api/flows/gone/", {"pinned": True}, format="json")
    assert gone.status_code == 404


# --- the shell


def test_the_shell_pins_by_the_beginning_of_an_id():
    one, two = make_flow(), make_flow()
    assert flows("pin", one.pk[:8], two.pk) == "Pinned 2 flows.\n"
    assert (is_pinned(one), is_pinned(two)) == (True, True)
    assert flows("unpin", two.pk) == "Unpinned 1 flow.\n"
    assert flows("unpin", two.pk) == "Unpinned 0 flows.\n"
    assert (is_pinned(one), is_pinned(two)) == (True, False)
    with pytest.raises(FlowSetError):
        flows("pin", "no-such-flow")


def test_what_is_pinned_stays_when_the_rest_is_cleared(keeper: User):
    kept, cleared = make_flow(), make_flow()
    api_of(keeper).patch(f"/api/flows/{kept.pk}/", {"pinned": True}, format="json")
    assert clear_flows(Flow.objects.all()) == 1
    assert list(Flow.objects.values_list("pk", flat=True)) == [kept.pk]
    assert not Flow.objects.filter(pk=cleared.pk).exists()
