"""The audit log: a row stands before the act, and nobody changes it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from providers.audit.log import (
    Caller,
    audit_credential,
    audited,
    caller_of,
    record_audit,
    shell_caller,
)
from providers.models import AuditEntry, Provider
from tests.rows import make_provider

pytestmark = pytest.mark.django_db
BOSS = Caller("boss", "console", "127.0.0.1")


def rows() -> list[tuple[str, str, str]]:
    return [
        (row.action, row.target, row.outcome)
        for row in AuditEntry.objects.exclude(action="config-change").order_by("id")
    ]


def test_the_row_stands_before_the_act() -> None:
    with audited("export", "3 flows", by=BOSS):
        assert rows() == [("export", "3 flows", "begun")]
    assert rows() == [("export", "3 flows", "done")]


def test_what_fails_is_recorded_and_passed_on() -> None:
    with pytest.raises(RuntimeError), audited("replay", "flow 1", by=BOSS):
        raise RuntimeError("sk-secret")
    assert rows() == [("replay", "flow 1", "failed")]
    assert AuditEntry.objects.get().detail == "RuntimeError"


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no action"):
        record_audit("dance", by=BOSS)


def test_who_acts() -> None:
    request = RequestFactory().get("/api/flows/har/", REMOTE_ADDR="10.0.0.9")
    request.user = User(username="boss")
    assert caller_of(request) == Caller("boss", "api", "10.0.0.9")
    request = RequestFactory().get("/flows/")
    request.user = AnonymousUser()
    assert caller_of(request).name == "nobody"
    assert shell_caller().source == "command"


def test_changes_of_a_credential() -> None:
    row = make_provider(auth_type="none")
    before = Provider.objects.get(pk=row.pk)
    audit_credential(before, before, by=BOSS)
    assert rows() == []
    row.auth_type, row.auth_config = "command", {"command": "echo sk-canary-123"}
    audit_credential(before, row, by=BOSS)
    keyed = Provider(name="k", auth_type="key", secret="one")
    audit_credential(None, keyed, by=BOSS)
    audit_credential(keyed, Provider(name="k", auth_type="key", secret="two"), by=BOSS)
    audit_credential(keyed, Provider(name="k", auth_type="key", secret=""), by=BOSS)
    assert rows() == [
        ("command-change", "provider anthropic", "done"),
        ("credential-change", "provider k", "done"),
        ("credential-change", "provider k", "done"),
        ("credential-change", "provider k", "done"),
    ]
    assert "canary" not in str(list(AuditEntry.objects.values()))


def test_the_admin_only_shows_them() -> None:
    entry = record_audit("reveal", "provider x", by=BOSS)
    boss = Client()
    boss.force_login(User.objects.create_superuser("boss"))
    path = f"/admin/providers/auditentry/{entry.pk}/"
    assert "provider x" in boss.get("/admin/providers/auditentry/").content.decode()
    assert boss.get(path + "change/").status_code == 200
    for act in (path + "change/", path + "delete/", "/admin/providers/auditentry/add/"):
        assert boss.post(act, {"outcome": "done", "post": "yes"}).status_code == 403
    assert rows() == [("reveal", "provider x", "begun")]


def test_the_api_shows_them_to_superusers_alone() -> None:
    entry = record_audit("reveal", "provider x", by=BOSS)
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.all())
    api = APIClient()
    api.force_authenticate(clerk)
    assert api.get("/api/audit/").status_code == 403
    api.force_authenticate(User.objects.create_superuser("boss"))
    [shown] = api.get("/api/audit/").json()["results"]
    assert (shown["action"], shown["target"], shown["actor"], shown["source"]) == (
        "reveal",
        "provider x",
        "boss",
        "console",
    )
    assert api.get("/api/audit/", {"action": "export"}).json()["results"] == []
    assert api.delete(f"/api/audit/{entry.pk}/").status_code == 405
