from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from providers.forms import ProviderForm
from providers.models import ConfigRevision, Provider, TransformRule
from providers.retry_policy import FAILURES
from providers.services import CODE_REFUSED, LOGIN_REFUSED, MOVE_REFUSED
from providers.web.password_check import WRONG_PASSWORD
from tests.rows import make_provider
from tests.sent_form import sent_by_a_browser

ADD = "/admin/providers/provider/add/"
KEY = "sk-canary-4711-do-not-show"


def form(**changes) -> dict[str, str]:
    data = {
        "name": "anthropic",
        "enabled": "on",
        "scheme": "https",
        "host": "api.anthropic.com",
        "port": "",
        "path": "/v1/messages",
        "verify_tls": "on",
        "headers": "",
        "type": "anthropic",
        "model_names": "",
        "fingerprint_profile": "",
        "auth_type": "none",
        "new_secret": "",
        "auth_command": "",
        "auth_file": "",
        "auth_header": "",
    }
    return data | changes


def change(provider: Provider) -> str:
    return f"/admin/providers/provider/{provider.pk}/change/"


def errors(response) -> dict[str, list[str]]:
    assert response.status_code == 200, "the form was accepted"
    return dict(response.context["adminform"].form.errors)


def test_it_works(browser: Client):
    data = form(
        headers="X-Team: blue\n\nx-empty:", model_names="a\n b \n", native_formats=["openai_chat"]
    )
    response = browser.post(ADD, data, follow=True)
    provider = Provider.objects.get()
    assert (provider.headers, provider.model_names) == (
        {"X-Team": "blue", "x-empty": ""},
        ["a", "b"],
    )
    assert provider.native_formats == ["openai_chat"]
    assert [str(m) for m in response.context["messages"]] == [
        f"Saved “anthropic”. Live in a second (revision {ConfigRevision.current() + 1})."
    ]


def test_retries_are_stored_and_shown_again(browser: Client):
    chosen = form(retry_attempts="3", retry_failures=["429", "connect"], retry_budget_seconds="2.5")
    browser.post(ADD, chosen)
    provider = Provider.objects.get()
    assert provider.retry == {"attempts": 3, "statuses": [429, "connect"], "budget_seconds": 2.5}
    browser.post(change(provider), form())
    assert Provider.objects.get().retry == {}
    assert "retry_attempts" in errors(browser.post(change(provider), form(retry_attempts="1")))
    assert "retry_attempts" in errors(browser.post(change(provider), form(retry_failures="429")))
    assert "retry_failures" in errors(browser.post(change(provider), form(retry_failures="418")))


@pytest.mark.parametrize(
    "retry",
    [
        {},
        {"attempts": 2},
        {"attempts": 10, "statuses": [408, 529, "timeout"]},
        {"attempts": 3, "statuses": list(FAILURES), "budget_seconds": 0},
        {"attempts": 3, "budget_seconds": 12.25},
    ],
)
def test_a_form_that_nobody_changed_keeps_the_retries(retry: dict[str, Any], db: None):
    row = make_provider(retry=retry)
    bound_form = ProviderForm(sent_by_a_browser(ProviderForm(instance=row)), instance=row)
    assert bound_form.is_valid(), bound_form.errors
    assert bound_form.instance.retry == retry


def test_of_a_field_one_thing_is_wrong(browser: Client):
    refused = errors(browser.post(ADD, form(name="", host="", path="")))
    assert {name: len(found) for name, found in refused.items()} == {
        "name": 1,
        "host": 1,
        "path": 1,
    }


def test_fallbacks_are_lines_and_name_providers(browser: Client):
    make_provider("backup")
    browser.post(ADD, form(fallbacks="backup\nbackup/small\n", cooldown_seconds="0"))
    provider = Provider.objects.get(name="anthropic")
    assert (provider.fallbacks, provider.cooldown_seconds) == (["backup", "backup/small"], 0)
    assert "backup/small" in browser.get(change(provider)).content.decode()
    refused = errors(browser.post(change(provider), form(fallbacks="bakcup")))
    assert "did you mean backup" in str(refused["fallbacks"])
    assert "fallbacks" in errors(browser.post(change(provider), form(fallbacks="anthropic")))
    assert "fallbacks" in errors(browser.post(change(provider), form(fallbacks="a b")))


def test_a_rule_has_fallbacks_of_its_own(browser: Client):
    provider = make_provider("backup")
    add, values = "/admin/providers/transformrule/add/", {"action": "redirect", "position": "0"}
    sends = {**values, "dest_provider": provider.pk, "fallbacks": "backup/small"}
    sends["retry_attempts"] = "2"
    browser.post(add, sends)
    rule = TransformRule.objects.get()
    assert (rule.fallbacks, rule.retry) == (["backup/small"], {"attempts": 2})
    refused = browser.post(add, {**values, "dest_host": "h.example", "fallbacks": "backup"})
    assert "fallbacks" in errors(refused)


def test_a_pasted_key_is_stored_encrypted_and_never_shown(browser: Client):
    response = browser.post(ADD, form(auth_type="key", new_secret=KEY, _continue="1"), follow=True)
    provider = Provider.objects.get()
    assert provider.secret != KEY
    assert provider.secret.decrypt() == KEY
    page = response.content.decode()
    assert KEY not in page
    assert str(provider.secret) not in page
    assert "stored – <a" in page


def test_a_key_that_is_refused_with_the_form_is_not_shown_either(browser: Client):
    response = browser.post(ADD, form(auth_type="key", new_secret=KEY, host="http://x/"))
    assert "host" in errors(response)
    assert KEY not in response.content.decode()


def test_saving_without_a_new_key_keeps_the_old_one(browser: Client):
    provider = make_provider(auth_type="key", secret=KEY)
    browser.post(change(provider), form(auth_type="key", model_names="m"))
    provider.refresh_from_db()
    assert (provider.model_names, provider.secret.decrypt()) == (["m"], KEY)


def test_a_new_key_replaces_and_a_tick_forgets(browser: Client):
    provider = make_provider(auth_type="key", secret=KEY)
    browser.post(change(provider), form(auth_type="key", new_secret="sk-other"))
    provider.refresh_from_db()
    assert provider.secret.decrypt() == "sk-other"
    browser.post(change(provider), form(auth_type="key", forget_secret="on"))
    provider.refresh_from_db()
    assert provider.secret == ""


def test_the_sentinel_keys_stand_on_the_page(browser: Client):
    page = browser.get(change(make_provider("work.1"))).content.decode()
    for key in ("sk-ant-oat-ccproxy-work.1", "sk-ant-api03-ccproxy-work.1", "sk-ccproxy-work.1"):
        assert f'<code class="cc-copy">{key}</code>' in page


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"host": "https://evil/"}, "host"),
        ({"path": "v1"}, "path"),
        ({"headers": "no colon here"}, "headers"),
        ({"headers": "x-ccproxy-hooks: -all"}, "headers"),
        ({"port": "70000"}, "port"),
        ({"name": "a b"}, "name"),
        ({"auth_type": "file"}, "auth_file"),
        ({"auth_type": "key", "scheme": "http"}, "scheme"),
        ({"native_formats": ["klingon"]}, "native_formats"),
    ],
)
def test_what_could_not_run_is_refused_at_its_field(browser: Client, changes, field):
    assert list(errors(browser.post(ADD, form(**changes)))) == [field]


def test_a_command_is_refused_and_the_message_names_the_way(browser: Client):
    response = browser.post(ADD, form(auth_type="command", auth_command="cat /etc/passwd"))
    assert errors(response) == {"auth_command": [CODE_REFUSED]}
    for way in ("--allow-code-config", "CCPROXY_ALLOW_CODE_CONFIG=1", "ccproxy importconfig"):
        assert way in CODE_REFUSED


def test_a_file_and_a_clerks_login_are_refused_too(
    browser: Client, client: Client, django_user_model
):
    from django.contrib.auth.models import Permission

    response = browser.post(ADD, form(auth_type="file", auth_file="/etc/passwd"))
    assert errors(response) == {"auth_file": [CODE_REFUSED]}
    clerk = django_user_model.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(content_type__app_label="providers"))
    client.force_login(clerk)
    response = client.post(ADD, form(auth_type="anthropic_oauth", login_file_path="~/x.json"))
    assert errors(response) == {"login_file_path": [LOGIN_REFUSED]}
    response = client.post(ADD, form(auth_type="anthropic_oauth"))
    assert errors(response) == {"auth_type": [LOGIN_REFUSED]}


def test_a_clerk_cannot_move_a_credential(browser: Client, client: Client, django_user_model):
    from django.contrib.auth.models import Permission

    browser.post(ADD, form(auth_type="key", new_secret="k-0123456789"))
    row = Provider.objects.get()
    change = f"/admin/providers/provider/{row.pk}/change/"
    clerk = django_user_model.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(content_type__app_label="providers"))
    client.force_login(clerk)
    moved = form(auth_type="key", host="evil.example")
    assert errors(client.post(change, moved)) == {"host": [MOVE_REFUSED]}
    assert client.post(change, moved | {"new_secret": "mine-0123456789"}).status_code == 302
    assert Provider.objects.get().host == "evil.example"


def test_a_superuser_moves_a_credential_with_the_password(browser: Client, django_user_model):
    browser.post(ADD, form(auth_type="key", new_secret="k-0123456789"))
    change = f"/admin/providers/provider/{Provider.objects.get().pk}/change/"
    assert "own_password" in browser.get(change).content.decode()
    boss = django_user_model.objects.get(username="boss")
    boss.set_password("right")
    boss.save()
    browser.force_login(boss)
    moved = form(auth_type="key", host="new.example")
    assert errors(browser.post(change, moved)) == {"own_password": [WRONG_PASSWORD]}
    assert errors(browser.post(change, moved | {"own_password": "no"})).keys() == {"own_password"}
    assert Provider.objects.get().host != "new.example"
    assert browser.post(change, moved | {"own_password": "right"}).status_code == 302
    assert Provider.objects.get().host == "new.example"


def test_a_command_may_be_set_where_the_server_allows_it(browser: Client, settings):
    settings.CCPROXY_ALLOW_CODE_CONFIG = True
    browser.post(ADD, form(auth_type="command", auth_command="printf x"))
    assert Provider.objects.get().auth_config == {"command": "printf x"}


def test_the_flag_alone_is_not_enough(client: Client, settings, django_user_model):
    from django.contrib.auth.models import Permission

    settings.CCPROXY_ALLOW_CODE_CONFIG = True
    clerk = django_user_model.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(content_type__app_label="providers"))
    client.force_login(clerk)
    assert errors(client.post(ADD, form(auth_type="command", auth_command="id"))) == {
        "auth_command": [CODE_REFUSED]
    }


def test_a_provider_with_a_command_can_be_edited_but_its_command_not(browser: Client):
    provider = make_provider(auth_type="command", auth_config={"command": "printf x"})
    data = form(auth_type="command", auth_command="printf x", model_names="m")
    assert browser.post(change(provider), data).status_code == 302
    provider.refresh_from_db()
    assert (provider.model_names, provider.auth_config) == (["m"], {"command": "printf x"})
    refused = browser.post(change(provider), data | {"auth_command": "printf y"})
    assert errors(refused) == {"auth_command": [CODE_REFUSED]}


def test_switching_the_source_drops_the_old_sources_settings(browser: Client):
    provider = make_provider(auth_type="file", auth_config={"file": "~/key"})
    browser.post(change(provider), form(auth_type="none", auth_file="~/key"))
    provider.refresh_from_db()
    assert provider.auth_config == {}
