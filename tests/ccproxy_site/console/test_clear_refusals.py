"""Addresses and parameters of nothing: JSON for programs, a sentence for people."""

from __future__ import annotations

import pytest
from django.test import Client


def test_rest_answers_an_address_of_nothing_in_json(admin: Client) -> None:
    reply = admin.get("/api/nowhere/")
    assert (reply.status_code, reply["content-type"]) == (404, "application/json")
    assert "There is no such resource" in reply.json()["detail"]


def test_a_page_of_nothing_has_the_navigation(admin: Client) -> None:
    reply = admin.get("/nowhere/")
    assert reply.status_code == 404
    assert 'id="pages"' in reply.content.decode()


@pytest.mark.parametrize(
    "address", ["/api/flows/", "/api/providers/", "/api/rules/", "/api/audit/"]
)
def test_rest_refuses_a_parameter_that_filters_nothing(admin: Client, address: str) -> None:
    assert admin.get(address).status_code == 200
    reply = admin.get(f"{address}?provder=x")
    assert reply.status_code == 400
    assert "There is no such" in str(reply.json()["provder"])


def test_the_list_says_that_a_parameter_filters_nothing(admin: Client) -> None:
    shown = admin.get("/flows/?provder=x&cursor=").content.decode()
    assert "provder" in shown
    assert "did you mean provider" in shown
    assert "did you mean" not in admin.get("/flows/?provider=x").content.decode()


def test_a_moment_with_a_zone_fills_its_field(admin: Client) -> None:
    for given in ("2026-11-29T19:07:00%2B01:00", "2026-11-29T18:07:00Z", "2026-11-29T18:07"):
        shown = admin.get(f"/flows/?after={given}").content.decode()
        assert 'name="after" value="2026-11-29T18:07"' in shown
    assert admin.get("/flows/?after=99999-99").status_code == 200
