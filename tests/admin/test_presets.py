"""Presets on the page for a new provider."""

from __future__ import annotations

import pytest
from django.test import Client

from providers.models import Provider
from providers.presets.preset_table import presets
from tests.rows import make_provider
from tests.sent_form import sent_by_a_browser

pytestmark = pytest.mark.django_db
ADD = "/admin/providers/provider/add/"


def test_one_click_fills_the_form(browser: Client) -> None:
    page = browser.get(ADD).content.decode()
    assert [name for name in presets() if f'href="?preset={name}"' not in page] == []
    response = browser.get(ADD + "?preset=vertex-anthropic")
    page = response.content.decode()
    form = response.context["adminform"].form
    assert form.initial["host"] == "aiplatform.googleapis.com"
    assert form.initial["type"] == "vertex_anthropic"
    assert form.initial["auth_command"] == "gcloud auth print-access-token"
    assert "{project}" in page
    saved = make_provider("saved")
    change = browser.get(f"/admin/providers/provider/{saved.pk}/change/").content.decode()
    assert "?preset=" not in change


def test_the_form_of_a_preset_can_be_saved(browser: Client) -> None:
    form = browser.get(ADD + "?preset=groq").context["adminform"].form
    data = sent_by_a_browser(form)
    data["new_secret"] = "gsk-1234567890"
    response = browser.post(ADD, data)
    assert response.status_code == 302, response.context["adminform"].form.errors
    row = Provider.objects.get(name="groq")
    assert (row.host, row.native_formats) == ("api.groq.com", ["openai_responses"])
