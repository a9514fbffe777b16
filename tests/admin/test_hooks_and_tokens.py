from __future__ import annotations

import hashlib
import re

import pytest
from django.test import Client
from rest_framework.test import APIClient

from ccproxy_site.console.api_tokens import token_digest
from interceptor.hooks import HOOKS
from interceptor.hooks.table import find_hook
from interceptor.models import ClientToken, HookSetting
from interceptor.validation import LAST_PROVIDER_REFUSED
from providers.models import AuditEntry
from providers.services import CODE_REFUSED
from tests.rows import make_provider

ADD = "/admin/interceptor/hooksetting/add/"


def form(**changes) -> dict[str, str]:
    data = {
        "stage": "outbound",
        "name": "verbose_mode",
        "enabled": "on",
        "position": "0",
        "params": "{}",
    }
    return data | changes


def errors(response) -> dict[str, list[str]]:
    assert response.status_code == 200, "the form was accepted"
    return dict(response.context["adminform"].form.errors)


def test_it_works(browser: Client):
    browser.post(ADD, form(name="commitbee_compat", params='{"signature": "bee"}'))
    assert HookSetting.objects.get().params == {"signature": "bee"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"params": "{"}, "params"),
        ({"params": "[1]"}, "params"),
        ({"params": '{"a": 1e999}'}, "params"),
        ({"params": '{"a": "\\u0000"}'}, "params"),
        ({"params": "[" * 100_000}, "params"),
        ({"params": '{"surprise": 1}'}, "params"),
        ({"params": '{"signature": 7}', "name": "commitbee_compat"}, "params"),
        ({"name": "os.system"}, "name"),
        ({"name": "no such"}, "name"),
        ({"stage": "sideways"}, "stage"),
    ],
)
def test_what_could_not_run_is_refused_at_its_field(browser: Client, changes, field):
    assert field in errors(browser.post(ADD, form(**changes)))
    assert not HookSetting.objects.exists()


def change_page(setting: HookSetting) -> str:
    return f"/admin/interceptor/hooksetting/{setting.pk}/change/"


def sent(browser: Client, setting: HookSetting) -> dict[str, str]:
    """Return what a browser sends of the hook's form."""
    form = browser.get(change_page(setting)).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    # A box that is not ticked is not sent.
    ticked = {name: "on" if value is True else value for name, value in values.items()}
    return {name: value for name, value in ticked.items() if value is not False}


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("verbose_mode", {}),
        ("commitbee_compat", {"signature": "bee"}),
        ("commitbee_compat", {}),
        ("gemini_cli", {"discover": False, "timeout_s": 2.5, "tier": "free-tier"}),
        ("pplx_thread_inject", {"continue_by_history": True}),
    ],
)
def test_a_hook_that_is_saved_as_it_is_keeps_its_parameters(browser: Client, name, stored):
    setting = HookSetting.objects.create(stage="outbound", name=name, params=stored)
    fields = sent(browser, setting)
    assert "params" not in fields
    assert browser.post(change_page(setting), fields).status_code == 302
    setting.refresh_from_db()
    assert setting.params == stored


@pytest.mark.parametrize("name", [name for name in HOOKS if find_hook(name).params])
def test_each_parameter_of_a_hook_has_a_field_that_says_what_it_is(browser: Client, name):
    setting = HookSetting.objects.create(stage="outbound", name=name)
    model = find_hook(name).params
    assert model is not None
    form = browser.get(change_page(setting)).context["adminform"].form
    for parameter, info in model.model_fields.items():
        field = form.fields[f"param_{parameter}"]
        assert field.help_text == info.description != ""
        assert form[f"param_{parameter}"].value() == info.default


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("timeout_s", "0", "Input should be greater than 0"),
        ("timeout_s", "61", "Ensure this value is less than or equal to 60"),
        ("timeout_s", "soon", "Enter a number."),
        ("cli_version", "a b", "String should match pattern"),
        ("tier", "x" * 101, "Ensure this value has at most 100 characters"),
    ],
)
def test_a_wrong_parameter_is_refused_at_its_own_field(browser: Client, field, value, problem):
    setting = HookSetting.objects.create(stage="outbound", name="gemini_cli")
    fields = sent(browser, setting) | {f"param_{field}": value}
    (found,) = errors(browser.post(change_page(setting), fields)).items()
    assert found[0] == f"param_{field}"
    assert found[1][0].startswith(problem)
    setting.refresh_from_db()
    assert setting.params == {}


def test_parameters_change_and_an_empty_field_is_the_default(browser: Client):
    setting = HookSetting.objects.create(
        stage="outbound", name="gemini_cli", params={"tier": "free-tier", "cli_version": "1.0"}
    )
    fields = sent(browser, setting)
    fields |= {"param_onboard": "on", "param_tier": "", "param_cli_version": ""}
    del fields["param_discover"]
    assert browser.post(change_page(setting), fields).status_code == 302
    setting.refresh_from_db()
    assert setting.params == {"onboard": True, "discover": False}


def test_another_hook_takes_no_parameters_of_the_one_before(browser: Client):
    setting = HookSetting.objects.create(
        stage="outbound", name="commitbee_compat", params={"signature": "bee"}
    )
    fields = sent(browser, setting) | {"name": "verbose_mode"}
    assert browser.post(change_page(setting), fields).status_code == 302
    setting.refresh_from_db()
    assert (setting.name, setting.params) == ("verbose_mode", {})


def test_an_own_function_needs_the_flag(browser: Client, settings):
    assert errors(browser.post(ADD, form(name="my_hooks.stamp"))) == {"name": [CODE_REFUSED]}
    settings.CCPROXY_ALLOW_CODE_CONFIG = True
    browser.post(ADD, form(name="my_hooks.stamp", params='{"a": 1}'))
    assert HookSetting.objects.get().name == "my_hooks.stamp"


def test_an_own_function_set_elsewhere_can_still_be_moved(browser: Client):
    setting = HookSetting.objects.create(stage="outbound", name="my_hooks.stamp")
    page = f"/admin/interceptor/hooksetting/{setting.pk}/change/"
    assert "my_hooks.stamp" in browser.get(page).content.decode()
    assert browser.post(page, form(name="my_hooks.stamp", position="7")).status_code == 302
    setting.refresh_from_db()
    assert setting.position == 7
    assert errors(browser.post(page, form(name="other.function"))) == {"name": [CODE_REFUSED]}


def test_saving_an_own_function_does_not_import_it(
    browser: Client, settings, tmp_path, monkeypatch
):
    (tmp_path / "boom_hook.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    settings.CCPROXY_ALLOW_CODE_CONFIG = True
    assert browser.post(ADD, form(name="boom_hook.run")).status_code == 302
    assert browser.get("/admin/interceptor/hooksetting/").status_code == 200


def test_a_client_token_is_shown_once(browser: Client):
    response = browser.post(
        "/admin/interceptor/clienttoken/add/", {"name": "laptop", "enabled": "on"}
    )
    [token] = re.findall(r'id="new-token">(cct-[\w-]+)<', response.content.decode())
    row = ClientToken.objects.get()
    assert row.token_sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert "no-store" in response["Cache-Control"]
    for page in (
        "/admin/interceptor/clienttoken/",
        f"/admin/interceptor/clienttoken/{row.pk}/change/",
        "/admin/",
    ):
        content = browser.get(page).content.decode()
        assert token not in content
        assert row.token_sha256 not in content
    browser.post(f"/admin/interceptor/clienttoken/{row.pk}/change/", {"name": "desk"})
    row.refresh_from_db()
    assert (row.name, row.enabled) == ("desk", False)
    assert row.token_sha256 == hashlib.sha256(token.encode()).hexdigest()


def test_the_providers_of_a_token_are_ticked(browser: Client):
    for name in ("anthropic", "openai"):
        make_provider(name)
    row = ClientToken.objects.create(name="ci", token_sha256="0" * 64, providers=["gone"])
    page = f"/admin/interceptor/clienttoken/{row.pk}/change/"
    shown = browser.get(page).content.decode()
    ticked = re.findall(r'<input type="checkbox" name="providers" value="(\w+)"([^>]*)', shown)
    assert [(name, " checked " in f"{rest} ") for name, rest in ticked] == [
        ("anthropic", False),
        ("openai", False),
        ("gone", True),
    ]
    sent = {"name": "ci", "enabled": "on"}
    browser.post(page, {**sent, "providers": ["openai", "gone"]})
    row.refresh_from_db()
    assert row.providers == ["openai", "gone"]
    assert "providers" in errors(browser.post(page, {**sent, "providers": "nobody"}))
    assert errors(browser.post(page, sent)) == {"providers": [LAST_PROVIDER_REFUSED]}
    row.refresh_from_db()
    assert row.providers == ["openai", "gone"]


def test_a_token_for_all_providers_stays_one(browser: Client):
    row = ClientToken.objects.create(name="ci", token_sha256="0" * 64)
    page = f"/admin/interceptor/clienttoken/{row.pk}/change/"
    assert browser.post(page, {"name": "desk", "enabled": "on"}).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.providers) == ("desk", [])


def test_an_api_token_is_shown_once(browser: Client, boss):
    from rest_framework.authtoken.models import Token

    response = browser.post("/admin/authtoken/tokenproxy/add/", {"user": str(boss.pk)})
    [key] = re.findall(r'id="new-token">([0-9a-f]{40})<', response.content.decode())
    stored = Token.objects.get()
    assert stored.key == token_digest(key) != key, "a copy of the database opens nothing"
    assert (
        APIClient(headers={"authorization": f"Token {key}"}).get("/api/providers/").status_code
        == 200
    )
    assert (
        APIClient(headers={"authorization": f"Token {stored.key}"})
        .get("/api/providers/")
        .status_code
        == 401
    )
    assert stored.key not in browser.get("/admin/authtoken/tokenproxy/").content.decode()
    assert key not in browser.get("/admin/authtoken/tokenproxy/").content.decode()
    assert key not in browser.get(f"/admin/auth/user/{boss.pk}/delete/").content.decode()
    browser.post(f"/admin/authtoken/tokenproxy/{boss.pk}/delete/", {"post": "yes"})
    assert not Token.objects.exists()
    done = [(row.action, row.target) for row in AuditEntry.objects.order_by("id")]
    assert done == [("api-token-add", "user boss"), ("api-token-remove", "user boss")]
