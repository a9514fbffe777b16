from __future__ import annotations

import pytest
from django.test import Client

from providers.models import ConfigRevision, TransformRule
from tests.rows import make_flow, make_provider, make_rule

LIST = "/admin/providers/transformrule/"


def form(**changes) -> dict[str, str]:
    names = (
        "name",
        "match_host",
        "match_path",
        "match_model",
        "dest_model",
        "dest_host",
        "dest_path",
        "comment",
    )
    more = ("dest_vertex_project", "dest_vertex_location", "dest_provider")
    data = dict.fromkeys((*names, *more), "") | {
        "enabled": "on",
        "position": "0",
        "action": "passthrough",
    }
    return data | changes


@pytest.mark.parametrize("field", ["match_host", "match_path", "match_model"])
def test_a_bad_expression_is_refused_at_its_field_with_the_position(browser: Client, field):
    response = browser.post(LIST + "add/", form(**{field: "abc(def"}))
    [message] = response.context["adminform"].form.errors[field]
    assert "position 1" in message
    assert "abc(def" in message
    assert not TransformRule.objects.exists()


def test_matches_of_the_last_day_are_counted(browser: Client):
    busy, idle, stale = make_rule(name="busy"), make_rule(name="idle"), make_rule(name="stale")
    for age_s in (10, 3600, 90_000):
        make_flow(rule_id=busy.pk, age_s=age_s)
    make_flow(rule_id=stale.pk, age_s=3 * 86_400)
    response = browser.get(LIST)
    hits = {rule.name: rule.hits for rule in response.context["cl"].result_list}
    assert hits["busy"][0] == 2
    assert hits["stale"][0] == 0
    assert hits["idle"] is None
    page = response.content.decode()
    assert "never matched" in page
    assert "last 3\xa0days ago" in page
    assert idle.pk


def test_the_order_and_the_switch_are_edited_in_the_list(browser: Client):
    first, second = make_rule(name="first", position=0), make_rule(name="second", position=1)
    data = {
        "form-TOTAL_FORMS": "2",
        "form-INITIAL_FORMS": "2",
        "form-0-id": str(first.pk),
        "form-0-position": "5",
        "form-0-enabled": "on",
        "form-1-id": str(second.pk),
        "form-1-position": "1",
        "_save": "Save",
    }
    response = browser.post(LIST, data, follow=True)
    assert list(TransformRule.objects.values_list("name", "enabled")) == [
        ("second", False),
        ("first", True),
    ]
    [message] = response.context["messages"]
    assert str(message).startswith("Saved 2 changes. Live in a second (revision ")


def test_a_provider_that_a_rule_needs_is_not_deleted(browser: Client):
    provider = make_provider()
    make_rule(action="redirect", dest_provider=provider)
    response = browser.post(f"/admin/providers/provider/{provider.pk}/delete/", {"post": "yes"})
    assert response.status_code == 200
    provider.refresh_from_db()


@pytest.mark.django_db(transaction=True)
def test_the_message_names_the_revision_that_a_real_save_leads_to(
    client: Client, django_user_model
):
    client.force_login(django_user_model.objects.create_superuser("boss"))
    response = client.post(LIST + "add/", form(name="new"), follow=True)
    [message] = response.context["messages"]
    assert str(message) == f"Saved “new”. Live in a second (revision {ConfigRevision.current()})."


@pytest.mark.parametrize(
    "action, formats, is_proposed",
    [
        ("redirect", [], True),
        ("redirect", ["openai_chat", "openai_responses", "google_generate"], False),
        ("transform", [], False),
    ],
)
def test_a_redirect_to_another_format_proposes_a_transform(
    browser: Client, action: str, formats: list[str], is_proposed: bool
) -> None:
    provider = make_provider("narrow", native_formats=formats)
    sent = form(action=action, dest_provider=str(provider.pk), name="moved")
    shown = browser.post(LIST + "add/", sent, follow=True).content.decode()
    assert TransformRule.objects.get().action == action
    proposal = "narrow does not speak OpenAI Chat Completions, OpenAI Responses"
    assert (proposal in shown) == is_proposed
    assert ("choose “transform”" in shown) == is_proposed
