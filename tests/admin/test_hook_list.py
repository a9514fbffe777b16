"""The admin's list of hooks, after an import of the product's own list."""

from __future__ import annotations

import pytest
from django.test import Client

from interceptor.config.files.defaults import BUILT_IN_HOOKS
from interceptor.config.files.document import parse_document
from interceptor.config.files.whole_file import check_file
from interceptor.config.transfer.importer import import_sections
from interceptor.hooks import HOOKS
from interceptor.models import HookSetting
from tests.interceptor.config import product_files

LIST = "/admin/interceptor/hooksetting/"


@pytest.fixture
def imported(db: None) -> None:
    file = check_file(parse_document(product_files.HOOKS, "ccproxy.yaml"))
    import_sections(file.sections, file.document)


def list_form() -> dict[str, str]:
    """The admin's list as a browser sends it."""
    rows = list(HookSetting.objects.order_by("stage", "position", "pk"))
    data = {"form-TOTAL_FORMS": str(len(rows)), "form-INITIAL_FORMS": str(len(rows)), "_save": ""}
    for index, row in enumerate(rows):
        data[f"form-{index}-id"] = str(row.pk)
        data[f"form-{index}-position"] = str(row.position)
        if row.enabled:
            data[f"form-{index}-enabled"] = "on"
    return data


def test_every_built_in_hook_has_a_stage():
    assert set(HOOKS) == set(BUILT_IN_HOOKS)


def test_the_list_of_hooks_can_be_saved_after_the_import(imported: None, browser: Client):
    before = HookSetting.objects.filter(enabled=True).count()
    off = list_form()
    off.pop(next(key for key in off if key.endswith("-enabled")))
    response = browser.post(LIST, off)
    assert response.status_code == 302
    assert HookSetting.objects.filter(enabled=True).count() == before - 1


def test_built_in_hooks_are_no_functions_of_the_user(imported: None, browser: Client):
    assert "your own function" not in browser.get(LIST).content.decode()


def test_an_own_function_is_labelled_as_one(browser: Client):
    HookSetting.objects.create(stage="outbound", name="my_hooks.stamp")
    assert "your own function" in browser.get(LIST).content.decode()


def test_an_error_of_a_field_that_the_list_lacks_is_shown_above_its_row(browser: Client):
    """Rows may be older than a rule of this version."""
    HookSetting.objects.create(stage="outbound", name="no such name")
    response = browser.post(LIST, list_form())
    assert response.status_code == 200
    assert "Name: Give a built-in name" in response.content.decode()


def test_the_products_gemini_hook_takes_effect(imported: None):
    row = HookSetting.objects.get(name="gemini_cli")
    assert (row.stage, row.enabled) == ("outbound", True)
