"""Hooks of the product's own list that this version does not have: stored, off, and labelled."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from interceptor.config.files.defaults import BUILT_IN_HOOKS
from interceptor.config.files.document import parse_document
from interceptor.config.files.whole_file import check_file
from interceptor.config.transfer.importer import import_sections
from interceptor.hooks import HOOKS, NOT_BUILT
from interceptor.models import HookSetting
from tests.interceptor.config import product_files

LIST = "/admin/interceptor/hooksetting/"


@pytest.fixture
def imported(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every hook is built: one of them stands for those of later versions.
    monkeypatch.setitem(NOT_BUILT, "inject_mcp_notifications", "outbound")
    file = check_file(parse_document(product_files.HOOKS, "ccproxy.yaml"))
    import_sections(file.sections, file.document)


@pytest.fixture
def api(boss: Any) -> APIClient:
    client = APIClient()
    client.force_authenticate(boss)
    return client


def list_form(*switched_on: str) -> dict[str, str]:
    """The admin's list as a browser sends it."""
    rows = list(HookSetting.objects.order_by("stage", "position", "pk"))
    data = {"form-TOTAL_FORMS": str(len(rows)), "form-INITIAL_FORMS": str(len(rows)), "_save": ""}
    for index, row in enumerate(rows):
        data[f"form-{index}-id"] = str(row.pk)
        data[f"form-{index}-position"] = str(row.position)
        if row.enabled or row.name in switched_on:
            data[f"form-{index}-enabled"] = "on"
    return data


def test_every_name_of_the_product_is_built_or_not_built():
    assert {*HOOKS, *NOT_BUILT} == set(BUILT_IN_HOOKS)
    assert not {*HOOKS} & {*NOT_BUILT}


def test_the_list_of_hooks_can_be_saved_after_the_import(imported: None, browser: Client):
    before = HookSetting.objects.filter(enabled=True).count()
    off = list_form()
    off.pop(next(key for key in off if key.endswith("-enabled")))
    response = browser.post(LIST, off)
    assert response.status_code == 302
    assert HookSetting.objects.filter(enabled=True).count() == before - 1


def test_an_unbuilt_hook_cannot_be_switched_on_in_the_list(imported: None, browser: Client):
    response = browser.post(LIST, list_form("inject_mcp_notifications"))
    assert response.status_code == 200
    assert "“inject_mcp_notifications” is not built yet" in response.content.decode()
    assert not HookSetting.objects.get(name="inject_mcp_notifications").enabled


def test_an_unbuilt_hook_says_so_in_the_list(imported: None, browser: Client):
    html = browser.get(LIST).content.decode()
    assert html.count("not built yet") == len(NOT_BUILT)
    assert "your own function" not in html


def test_an_own_function_is_labelled_as_one(browser: Client):
    HookSetting.objects.create(stage="outbound", name="my_hooks.stamp")
    assert "your own function" in browser.get(LIST).content.decode()


def test_an_error_of_a_field_that_the_list_lacks_is_shown_above_its_row(browser: Client):
    """Rows may be older than a rule of this version."""
    HookSetting.objects.create(stage="outbound", name="no such name")
    response = browser.post(LIST, list_form())
    assert response.status_code == 200
    assert "Name: Give a built-in name" in response.content.decode()


def test_rest_labels_it_and_refuses_to_switch_it_on(imported: None, api: APIClient):
    row = HookSetting.objects.get(name="inject_mcp_notifications")
    assert api.get(f"/api/hooks/{row.pk}/").json()["about"] == "not built yet"
    response = api.patch(f"/api/hooks/{row.pk}/", {"enabled": True}, format="json")
    assert response.status_code == 400
    assert "not built yet" in response.json()["enabled"][0]
    assert api.patch(f"/api/hooks/{row.pk}/", {"position": 9}, format="json").status_code == 200


def test_the_products_gemini_hook_takes_effect(imported: None):
    row = HookSetting.objects.get(name="gemini_cli")
    assert (row.stage, row.enabled) == ("outbound", True)
