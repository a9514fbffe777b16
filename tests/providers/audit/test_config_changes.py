"""Every change of the configuration has a row: who, what, before and after, no secret."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from rest_framework.test import APIClient

from interceptor.config.snapshot.signals import AUDITED_MODELS, CONFIG_MODELS
from interceptor.models import ClientToken, HookSetting
from providers.models import AuditEntry, PriceOverride, Provider, TransformRule
from shapes.models import Shape

pytestmark = pytest.mark.django_db

SECRET = "sk-canary-a1b2c3d4e5f6a7b8"


def rows() -> list[tuple[str, str]]:
    """Target and detail of each change, oldest first."""
    found = AuditEntry.objects.filter(action="config-change").order_by("id")
    return [(entry.target, entry.detail) for entry in found]


def make_provider(**more: Any) -> Provider:
    values = {"name": "up", "type": "openai", "host": "a.example", "path": "/v1/chat/completions"}
    return Provider.objects.create(**values | more)


def test_a_row_says_what_was_and_what_is() -> None:
    provider = make_provider()
    provider.host, provider.port = "b.example", 8443
    provider.save()
    provider.delete()
    assert rows() == [
        ("provider up", "new"),
        ("provider up", "host: a.example → b.example; port: – → 8443"),
        ("provider up", "deleted"),
    ]
    assert {entry.source for entry in AuditEntry.objects.all()} == {"command"}


def test_saving_without_a_change_leaves_no_row() -> None:
    provider = make_provider()
    provider.save()
    assert rows() == [("provider up", "new")]


def test_secrets_are_not_in_the_rows() -> None:
    provider = make_provider(headers={"x-key": SECRET}, auth_type="key", secret=SECRET)
    provider.headers = {"x-key": SECRET + "2", "x-more": SECRET}
    provider.secret = SECRET + "3"
    provider.save()
    text = str(rows())
    assert "sk-canary" not in text
    assert "headers: [x-key] → [x-key, x-more]" in text
    assert "secret: changed" in text


def test_a_long_value_is_cut() -> None:
    rule = TransformRule.objects.create(match_path="/a", comment="x")
    rule.comment = "y" * 5000
    rule.save()
    assert len(rows()[-1][1]) < 300


def test_every_model_of_the_configuration_is_watched() -> None:
    # Their acts have rows of their own.
    others = {ClientToken, Shape}
    assert set(CONFIG_MODELS) - set(AUDITED_MODELS) == others
    PriceOverride.objects.create(model="m", input_usd=1, output_usd=2)
    HookSetting.objects.create(stage="inbound", name="forward_oauth", position=77)
    targets = [target.partition(" ")[0] for target, _ in rows()]
    assert targets == ["price", "hook"]
    assert apps.is_installed("providers")


def test_the_api_and_the_console_name_the_person(client: Client, django_user_model: Any) -> None:
    boss = django_user_model.objects.create_superuser("boss")
    rule = TransformRule.objects.create(match_path="/a", dest_provider=make_provider())
    api = APIClient()
    api.force_login(boss)
    answered = api.patch(f"/api/rules/{rule.pk}/", {"enabled": False}, format="json")
    assert answered.status_code == 200
    client.force_login(boss)
    client.post(f"/admin/providers/transformrule/{rule.pk}/delete/", {"post": "yes"})
    found = AuditEntry.objects.filter(action="config-change").order_by("id")
    said = [(entry.actor, entry.source, entry.detail) for entry in found][2:]
    assert said == [
        ("boss", "api", "enabled: True → False"),
        ("boss", "console", "deleted"),
    ]
