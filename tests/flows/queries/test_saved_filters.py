"""Saved filters: in the list's menu, over REST and from the shell."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from flows.models import SavedFilter
from flows.queries.saved_filters import MAX_SAVED, clean_query
from providers.base.errors import CcproxyError
from tests.flows.seed import HOSTILE, IDS, seed_all
from tests.visitors import viewer

pytestmark = pytest.mark.django_db


def signed_in(name: str, **fields: Any) -> Client:
    client = Client()
    client.force_login(viewer(name, **fields))
    return client


@pytest.fixture
def ada() -> Client:
    return signed_in("ada")


@pytest.fixture
def bob() -> Client:
    return signed_in("bob")


def api_of(name: str) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(User.objects.get(username=name))
    return client


def save(client: Client, name: str, query: str, **fields: str) -> Any:
    return client.post("/flows/saved/", {"name": name, "query": query, **fields})


def menu(client: Client) -> list[tuple[str, str]]:
    """(address, name) of what the menu offers."""
    html = client.get("/flows/").content.decode()
    sheet = html[html.index("saved-sheet") : html.index('class="flows"')]
    return re.findall(r'<li>\s*<a href="(/flows/\?[^"]*)"[^>]*>([^<]*)', sheet)


# --- the menu


def test_it_is_saved_picked_renamed_and_deleted(ada: Client):
    seed_all()
    answer = save(ada, "cheap failures", "?status=4xx&cursor=1_x&provider=&cost_max_usd=1")
    assert answer["Location"] == "/flows/?status=4xx&cost_max_usd=1"
    assert "Saved “cheap failures”." in ada.get(answer["Location"]).content.decode()
    assert menu(ada) == [("/flows/?status=4xx&amp;cost_max_usd=1", "cheap failures")]
    pk = SavedFilter.objects.get().pk
    assert (
        ada.post(f"/flows/saved/{pk}/", {"name": "denied"})["Location"]
        == "/flows/?status=4xx&cost_max_usd=1"
    )
    assert menu(ada)[0][1] == "denied"
    ada.post(f"/flows/saved/{pk}/", {"name": "x", "delete": "1"})
    assert menu(ada) == []


def test_the_one_in_force_is_marked(ada: Client):
    save(ada, "mine", "provider=local&status=5xx")
    assert (
        ada.get("/flows/?status=5xx&provider=local").content.decode().count('aria-current="true"')
        == 1
    )
    assert 'aria-current="true"' not in ada.get("/flows/?status=5xx").content.decode()


@pytest.mark.parametrize(
    ("name", "query", "problem"),
    [
        ("", "status=5xx", "name: This field cannot be blank."),
        ("x" * 61, "status=5xx", "name: Ensure this value has at most 60 characters"),
        ("a\0b", "status=5xx", "Null characters are not allowed"),
        ("empty", "", "There is no filter to save"),
        ("page only", "cursor=1_x&unknown=1", "There is no filter to save"),
        ("impossible", "status=9xx", "Select a valid choice"),
        (
            "long",
            "q=" + "x" * 1990 + "&jq=" + "y" * 3000,
            "query: Ensure this value has at most 4000 characters",
        ),
        ("many", "&".join(f"a{n}=1" for n in range(2000)), "This is not a query of the flow list"),
    ],
)
def test_what_cannot_be_saved_says_why(ada: Client, name: str, query: str, problem: str):
    answer = save(ada, name, query)
    assert answer.status_code == 302
    assert SavedFilter.objects.count() == 0
    assert problem in ada.get(answer["Location"]).content.decode()


def test_a_name_is_used_once_by_everybody_for_themselves(ada: Client, bob: Client):
    save(ada, "mine", "status=5xx")
    answer = save(ada, "mine", "status=4xx")
    assert (
        "You have saved a filter with this name already."
        in ada.get(answer["Location"]).content.decode()
    )
    save(bob, "mine", "status=4xx")
    assert SavedFilter.objects.count() == 2


def test_others_see_what_is_shared_and_change_nothing(ada: Client, bob: Client):
    save(ada, "private", "status=5xx")
    save(ada, "common", "status=4xx", shared="1")
    assert [name for _, name in menu(bob)] == ["common"]
    assert "change-filter" not in bob.get("/flows/").content.decode()
    for saved in SavedFilter.objects.all():
        assert bob.post(f"/flows/saved/{saved.pk}/", {"delete": "1"}).status_code == 404
    common = SavedFilter.objects.get(name="common")
    assert (
        signed_in("root", is_superuser=True)
        .post(f"/flows/saved/{common.pk}/", {"delete": "1"})
        .status_code
        == 302
    )
    assert [name for _, name in menu(bob)] == []


def test_guests_and_other_methods_get_nowhere(ada: Client, client: Client):
    assert ada.get("/flows/saved/").status_code == 405
    assert ada.post("/flows/saved/99999999999999999999/", {"delete": "1"}).status_code == 404
    client.force_login(User.objects.create_user("guest"))
    assert client.post("/flows/saved/", {"name": "x", "query": "status=5xx"}).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="ada"))
    assert strict.post("/flows/saved/", {"name": "x", "query": "status=5xx"}).status_code == 403


def test_a_hostile_name_is_text(ada: Client):
    SavedFilter.objects.create(
        owner=User.objects.get(username="ada"),
        name=HOSTILE[:24],
        query="q=%3Cscript%3E",
        shared=True,
    )
    html = ada.get("/flows/").content.decode()
    assert "<script>alert" not in html
    assert "\u202e" not in html.replace(
        f'value="{HOSTILE[:24]}'.replace("<", "&lt;").replace(">", "&gt;"), ""
    )


def test_there_is_a_limit(ada: Client):
    assert MAX_SAVED >= 100
    owner = User.objects.get(username="ada")
    names = (f"filter {number}" for number in range(MAX_SAVED - 1))
    SavedFilter.objects.bulk_create(
        SavedFilter(owner=owner, name=name, query="status=5xx") for name in names
    )
    save(ada, "one", "status=5xx")
    assert SavedFilter.objects.filter(name="one").exists()
    refused_page = save(ada, "two", "status=4xx")
    assert (
        f"You have saved {MAX_SAVED} filters; delete some first."
        in ada.get(refused_page["Location"]).content.decode()
    )
    assert not SavedFilter.objects.filter(name="two").exists()
    refused = api_of("ada").post(
        "/api/saved-filters/", {"name": "two", "query": "status=4xx"}, format="json"
    )
    assert refused.status_code == 400


def test_a_query_keeps_only_what_filters():
    assert (
        clean_query("?jq=map(.)&status=5xx&limit=3&header=a:+b")
        == "status=5xx&header=a%3A+b&jq=map%28.%29"
    )


# --- REST


def test_rest_has_the_same(ada: Client, bob: Client):
    mine, theirs = api_of("ada"), api_of("bob")
    made = mine.post(
        "/api/saved-filters/", {"name": "slow", "query": "?duration_min_ms=9000&x=1"}, format="json"
    )
    assert made.status_code == 201, made.content
    row = made.json()
    assert row == {
        **row,
        "name": "slow",
        "query": "duration_min_ms=9000",
        "shared": False,
        "owner": "ada",
        "mine": True,
    }
    address = f"/api/saved-filters/{row['id']}/"
    assert theirs.get("/api/saved-filters/").json() == []
    assert theirs.get(address).status_code == 404
    assert (
        mine.patch(address, {"shared": True, "name": "slow ones"}, format="json").status_code == 200
    )
    assert [
        (found["name"], found["mine"]) for found in theirs.get("/api/saved-filters/").json()
    ] == [("slow ones", False)]
    assert theirs.patch(address, {"name": "x"}, format="json").status_code == 404
    assert theirs.delete(address).status_code == 404
    assert mine.post(
        "/api/saved-filters/", {"name": "slow ones", "query": "q=x"}, format="json"
    ).json() == {"name": ["You have saved a filter with this name already."]}
    bad = mine.post("/api/saved-filters/", {"name": "bad", "query": "status=9xx"}, format="json")
    assert (bad.status_code, list(bad.json())) == (400, ["query"])
    assert mine.delete(address).status_code == 204


# --- the shell


def listed(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("flows", "list", "--json", *arguments, stdout=out)
    return [flow["id"] for flow in json.loads(out.getvalue())]


def test_the_shell_takes_a_name_or_a_query(ada: Client):
    seed_all()
    save(ada, "local ones", "provider=local&jq=map(select(.response.status_code))")
    assert listed("--filter", "local ones") == [IDS["redirect"]]
    assert listed("--filter", "provider=local") == [IDS["failed"], IDS["redirect"]]
    assert listed("--filter", "provider=local", "-n", "1") == [IDS["redirect"]]
    call_command("flows", "list", "--filter", "provider=local", stdout=(out := StringIO()))
    assert len(out.getvalue().splitlines()) == 3
    call_command(
        "flows",
        "clear",
        "--filter",
        "provider=local",
        stdout=(out := StringIO()),
        stderr=StringIO(),
    )
    assert out.getvalue() == "Cleared 2 flows.\n"


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("nobody's", "There is no saved filter “nobody's”. Saved are: twice."),
        ("status=9xx", "Select a valid choice"),
        ("nothing=1", "There is no filter to save"),
        ("twice", "Several filters are called “twice” \\(ada, bob\\)"),
    ],
)
def test_the_shell_says_what_is_wrong(ada: Client, bob: Client, reference: str, problem: str):
    save(ada, "twice", "status=5xx")
    save(bob, "twice", "status=4xx")
    with pytest.raises((CcproxyError, CommandError), match=problem):
        listed("--filter", reference)
