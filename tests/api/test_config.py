from __future__ import annotations

import hashlib
from typing import Any

import pytest
from rest_framework.test import APIClient

from interceptor.models import ClientToken, HookSetting
from interceptor.validation import LAST_PROVIDER_REFUSED
from providers.models import ConfigRevision, Provider, TransformRule
from providers.services import CODE_REFUSED, LOGIN_REFUSED, MOVE_REFUSED
from shapes.models import Shape
from tests.rows import make_provider, make_rule, make_status

KEY = "sk-canary-4711-do-not-show"
PROVIDER = {
    "name": "anthropic",
    "type": "anthropic",
    "host": "api.anthropic.com",
    "path": "/v1/messages",
}


def test_a_provider_is_created_changed_and_deleted(api: APIClient):
    made = api.post("/api/providers/", PROVIDER, format="json")
    assert made.status_code == 201, made.content
    assert made.json()["sentinel_keys"] == [
        "sk-ant-oat-ccproxy-anthropic",
        "sk-ant-api03-ccproxy-anthropic",
        "sk-ccproxy-anthropic",
    ]
    assert [row["name"] for row in api.get("/api/providers/").json()] == ["anthropic"]
    assert (
        api.patch("/api/providers/anthropic/", {"port": 8443}, format="json").json()["port"] == 8443
    )
    assert (
        api.put(
            "/api/providers/anthropic/", PROVIDER | {"host": "x.example"}, format="json"
        ).status_code
        == 200
    )
    assert Provider.objects.get().host == "x.example"
    assert api.delete("/api/providers/anthropic/").status_code == 204
    assert not Provider.objects.exists()


def test_what_was_read_can_be_put_back(api: APIClient):
    make_provider(headers={"x-team": "blue"})
    body = api.get("/api/providers/anthropic/").json()
    assert api.put("/api/providers/anthropic/", body, format="json").status_code == 200


def test_a_secret_goes_in_and_never_comes_out(api: APIClient):
    made = api.post(
        "/api/providers/", PROVIDER | {"auth_type": "key", "secret": KEY}, format="json"
    )
    provider = Provider.objects.get()
    assert provider.secret.decrypt() == KEY
    answers = [made, api.get("/api/providers/"), api.get("/api/providers/anthropic/")]
    answers.append(api.patch("/api/providers/anthropic/", {"enabled": False}, format="json"))
    for answer in answers:
        assert KEY not in answer.content.decode()
        assert str(provider.secret) not in answer.content.decode()
        assert '"secret_stored":true' in answer.content.decode()
    provider.refresh_from_db()
    assert provider.secret.decrypt() == KEY
    assert (
        api.patch("/api/providers/anthropic/", {"secret": ""}, format="json").json()[
            "secret_stored"
        ]
        is False
    )


@pytest.mark.django_db(transaction=True)
def test_an_answer_to_a_write_names_its_revision(api: APIClient):
    first = api.post("/api/providers/", PROVIDER, format="json")
    second = api.patch("/api/providers/anthropic/", {"port": 8443}, format="json")
    assert (
        int(second["x-ccproxy-revision"])
        == ConfigRevision.current()
        == int(first["x-ccproxy-revision"]) + 1
    )
    assert "x-ccproxy-revision" not in api.get("/api/providers/")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"host": "https://x/"}, "host"),
        ({"path": "x"}, "path"),
        ({"headers": {"a b": "c"}}, "headers"),
        ({"headers": {"a": "b\r\nc: d"}}, "headers"),
        ({"auth_type": "file"}, "auth_config"),
        ({"auth_type": "key", "verify_tls": False}, "verify_tls"),
        ({"native_formats": ["klingon"]}, "native_formats"),
        ({"native_formats": [["openai_chat"]]}, "native_formats"),
        ({"name": "a/b"}, "name"),
        ({"type": "klingon"}, "type"),
        ({"port": 0}, "port"),
        ({"retry": {"attempts": 1}}, "retry"),
        ({"retry": [3]}, "retry"),
        ({"fallbacks": "a"}, "fallbacks"),
        ({"fallbacks": ["anthropic"]}, "fallbacks"),
        ({"fallbacks": ["/m"]}, "fallbacks"),
        ({"fallbacks": ["nobody"]}, "fallbacks"),
        ({"cooldown_seconds": -1}, "cooldown_seconds"),
        ({"secert": "typo"}, "secert"),
    ],
)
def test_the_models_own_rules_hold(api: APIClient, changes, field):
    answer = api.post("/api/providers/", PROVIDER | changes, format="json")
    assert (answer.status_code, list(answer.json())) == (400, [field])


def test_a_partial_change_is_judged_with_the_rest_of_the_row(api: APIClient):
    make_provider(auth_type="key", secret=KEY)
    answer = api.patch("/api/providers/anthropic/", {"scheme": "http"}, format="json")
    assert (answer.status_code, list(answer.json())) == (400, ["scheme"])
    assert Provider.objects.get().scheme == "https"


def test_a_command_needs_the_flag(api: APIClient, settings):
    command = {"auth_type": "command", "auth_config": {"command": "printf x"}}
    answer = api.post("/api/providers/", PROVIDER | command, format="json")
    assert (answer.status_code, answer.json()) == (400, {"auth_config": [CODE_REFUSED]})
    settings.CCPROXY_ALLOW_CODE_CONFIG = True
    assert api.post("/api/providers/", PROVIDER | command, format="json").status_code == 201
    settings.CCPROXY_ALLOW_CODE_CONFIG = False
    renamed = api.patch("/api/providers/anthropic/", {"model_names": ["m"]}, format="json")
    assert renamed.status_code == 200
    changed = api.patch(
        "/api/providers/anthropic/", {"auth_config": {"command": "id"}}, format="json"
    )
    assert changed.json() == {"auth_config": [CODE_REFUSED]}
    assert Provider.objects.get().auth_config == {"command": "printf x"}


def test_a_file_to_read_needs_the_flag_too(api: APIClient, settings):
    file = {"auth_type": "file", "auth_config": {"file": "/etc/passwd"}}
    assert api.post("/api/providers/", PROVIDER | file, format="json").json() == {
        "auth_config": [CODE_REFUSED]
    }
    settings.CCPROXY_ALLOW_CODE_CONFIG = True
    assert api.post("/api/providers/", PROVIDER | file, format="json").status_code == 201


def test_where_a_login_is_kept_is_for_superusers(api: APIClient, reader: APIClient):
    from django.contrib.auth.models import Permission, User

    User.objects.get(username="reader").user_permissions.set(Permission.objects.all())
    login = {"auth_type": "anthropic_oauth", "auth_config": {"file_path": "~/.codex/auth.json"}}
    assert reader.post("/api/providers/", PROVIDER | login, format="json").json() == {
        "auth_config": [LOGIN_REFUSED]
    }
    assert api.post("/api/providers/", PROVIDER | login, format="json").status_code == 201
    assert (
        reader.patch("/api/providers/anthropic/", {"enabled": False}, format="json").status_code
        == 200
    )
    elsewhere = {
        "auth_config": {"file_path": "~/.codex/auth.json", "endpoint": "https://evil.example/token"}
    }
    assert reader.patch("/api/providers/anthropic/", elsewhere, format="json").status_code == 400


MOVES: list[dict[str, Any]] = [
    {"host": "evil.example"},
    {"port": 8443},
    {"path": "/elsewhere"},
    {"host": "127.0.0.1", "scheme": "http"},
]


@pytest.mark.parametrize("move", MOVES, ids=str)
def test_a_credential_is_moved_by_superusers_alone(
    api: APIClient, reader: APIClient, move: dict[str, Any]
):
    from django.contrib.auth.models import Permission, User

    from providers.models import AuditEntry

    User.objects.get(username="reader").user_permissions.set(Permission.objects.all())
    stored = PROVIDER | {"auth_type": "key", "secret": "k-0123456789"}
    assert api.post("/api/providers/", stored, format="json").status_code == 201
    refused = reader.patch("/api/providers/anthropic/", move, format="json")
    assert refused.json() == {"host": [MOVE_REFUSED]}
    assert (
        reader.patch("/api/providers/anthropic/", {"enabled": False}, format="json").json()["host"]
        == PROVIDER["host"]
    )
    boss = User.objects.get(is_superuser=True)
    for password in ("", "wrong"):
        boss.set_password("right" if password else None)
        boss.save()
        asked = api.patch(
            "/api/providers/anthropic/", move | {"own_password": password}, format="json"
        )
        assert asked.json().keys() == {"own_password"}
    answered = api.patch(
        "/api/providers/anthropic/", move | {"own_password": "right"}, format="json"
    )
    assert answered.status_code == 200
    assert "own_password" not in answered.json()
    newest = AuditEntry.objects.filter(action="credential-change").first()
    assert newest is not None
    assert "now goes to" in newest.detail
    # With a credential of one's own there is nothing to take.
    own = {"host": "mine.example", "scheme": "https", "secret": "mine-0123456789"}
    assert reader.patch("/api/providers/anthropic/", own, format="json").status_code == 200


def test_the_flag_is_for_superusers(reader: APIClient, settings):
    from django.contrib.auth.models import Permission, User

    settings.CCPROXY_ALLOW_CODE_CONFIG = True
    User.objects.get(username="reader").user_permissions.set(Permission.objects.all())
    command = {"auth_type": "command", "auth_config": {"command": "id"}}
    assert reader.post("/api/providers/", PROVIDER, format="json").status_code == 201
    assert reader.patch("/api/providers/anthropic/", command, format="json").json() == {
        "auth_config": [CODE_REFUSED]
    }


def test_a_rule_names_its_provider(api: APIClient):
    make_provider()
    rule = {
        "name": "r",
        "action": "redirect",
        "dest_provider": "anthropic",
        "match_model": "^claude",
    }
    made = api.post("/api/rules/", rule, format="json")
    assert (made.status_code, made.json()["dest_provider"]) == (201, "anthropic")
    assert (
        api.patch(f"/api/rules/{made.json()['id']}/", {"position": 3}, format="json").json()[
            "position"
        ]
        == 3
    )
    assert (
        api.post("/api/rules/", rule | {"dest_provider": "nobody"}, format="json").status_code
        == 400
    )


def test_a_rule_with_a_bad_expression_is_refused_with_the_position(api: APIClient):
    answer = api.post("/api/rules/", {"action": "passthrough", "match_host": "a(b"}, format="json")
    assert answer.status_code == 400
    assert "position 1" in answer.json()["match_host"][0]
    assert not TransformRule.objects.exists()


def test_a_provider_in_use_is_not_deleted(api: APIClient):
    make_rule(name="mine", action="redirect", dest_provider=make_provider())
    answer = api.delete("/api/providers/anthropic/")
    assert (answer.status_code, answer.json()) == (
        409,
        {"detail": "Still used by: mine. Change or delete these first."},
    )


def test_hooks_are_checked_against_their_own_parameters(api: APIClient):
    hook = {"stage": "outbound", "name": "commitbee_compat", "params": {"signature": "bee"}}
    made = api.post("/api/hooks/", hook, format="json")
    assert made.status_code == 201, made.content
    again = api.post("/api/hooks/", hook, format="json")
    assert again.status_code == 400
    wrong = api.patch(
        f"/api/hooks/{made.json()['id']}/", {"params": {"signature": 7}}, format="json"
    )
    assert (wrong.status_code, list(wrong.json())) == (400, ["params"])


def test_an_own_function_needs_the_flag(api: APIClient, settings):
    hook = {"stage": "outbound", "name": "my_hooks.stamp"}
    assert api.post("/api/hooks/", hook, format="json").json() == {"name": [CODE_REFUSED]}
    row = HookSetting.objects.create(**hook)
    assert api.patch(f"/api/hooks/{row.pk}/", {"enabled": False}, format="json").status_code == 200
    assert (
        api.patch(f"/api/hooks/{row.pk}/", {"name": "other.one"}, format="json").status_code == 400
    )
    settings.CCPROXY_ALLOW_CODE_CONFIG = True
    assert (
        api.patch(f"/api/hooks/{row.pk}/", {"name": "other.one"}, format="json").status_code == 200
    )


def test_a_client_token_comes_out_once(api: APIClient):
    made = api.post("/api/client-tokens/", {"name": "laptop"}, format="json").json()
    row = ClientToken.objects.get()
    assert row.token_sha256 == hashlib.sha256(made["token"].encode()).hexdigest()
    later = [api.get("/api/client-tokens/"), api.get(f"/api/client-tokens/{row.pk}/")]
    later.append(api.patch(f"/api/client-tokens/{row.pk}/", {"enabled": False}, format="json"))
    for answer in later:
        assert made["token"] not in answer.content.decode()
        assert row.token_sha256 not in answer.content.decode()
        assert '"token":null' in answer.content.decode()


def test_the_last_provider_of_a_token_cannot_be_taken_away(api: APIClient):
    """An empty list means all."""
    made = api.post("/api/client-tokens/", {"name": "ci", "providers": ["openai"]}, format="json")
    page = f"/api/client-tokens/{made.json()['id']}/"
    for send in (api.patch, api.put):
        refused = send(page, {"name": "ci", "providers": []}, format="json")
        assert (refused.status_code, refused.json()) == (
            400,
            {"providers": [LAST_PROVIDER_REFUSED]},
        )
        kept = send(page, {"name": "ci", "enabled": False}, format="json").json()
        assert (kept["providers"], kept["enabled"]) == (["openai"], False)
    changed = api.patch(page, {"providers": ["anthropic"]}, format="json")
    assert changed.json()["providers"] == ["anthropic"]


def test_shapes_show_their_size_and_not_their_bodies(api: APIClient):
    Shape.objects.create(provider_type="anthropic", body='{"canary":1}')
    [row] = api.get("/api/shapes/").json()
    assert row["size_bytes"] == 12
    assert "body" not in row
    changed = api.patch(f"/api/shapes/{row['id']}/", {"active": True}, format="json")
    assert changed.status_code == 200


def test_a_shape_without_a_body_cannot_be_activated(api: APIClient):
    empty = Shape.objects.create(provider_type="anthropic")
    changed = api.patch(f"/api/shapes/{empty.pk}/", {"active": True}, format="json")
    assert changed.status_code == 400
    empty.refresh_from_db()
    assert not empty.active


def test_interceptors_tell_whether_they_run(api: APIClient):
    ConfigRevision.objects.create(pk=1, number=9)
    make_status()
    make_status(instance="dead-2", age_s=60)
    rows = api.get("/api/interceptors/").json()
    assert [(row["instance"], row["running"], row["newest_revision"]) for row in rows] == [
        ("host-1", True, 9),
        ("dead-2", False, 9),
    ]
    assert api.post("/api/interceptors/", {}, format="json").status_code == 405
