"""A login's settings in the provider's form: nothing stored is lost, each error stands at its field."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.auth.oauth_kinds import OAUTH_KEYS, OAUTH_KINDS, login_problems
from providers.base.json_value import check_json
from providers.forms import ProviderForm
from providers.models import Provider
from providers.web.login_fields import LOGIN_FIELDS
from tests.admin.test_providers import ADD, change, errors, form
from tests.rows import make_provider
from tests.sent_form import sent_by_a_browser

LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
WORDS = st.sampled_from(["", "-", " - ", "a.b", " spaced ", "two\nlines", "~/x.json"]) | LINES
ADDRESSES = st.sampled_from(
    ["", "https://h.example/t", "http://127.0.0.1:9/t?a=%22", "https://h.example/\n"]
)
SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(OAUTH_KEYS, WORDS),
    "endpoint": ADDRESSES,
    "authorize_url": ADDRESSES,
    "body_format": st.sampled_from(["form", "json"]),
    "redirect_port": st.integers(0, 65535) | st.sampled_from(["8080", 80.0]),
    "redirect_path": st.sampled_from(["/", "/cb", "/a b "]),
    "default_expires_in_seconds": st.floats(0.001, 1e9) | st.sampled_from([1, "60", 3600, 36000.0]),
}


@st.composite
def logins(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A kind of login, and settings that the model accepts."""
    kind = draw(st.sampled_from(sorted(OAUTH_KINDS)))
    config = draw(st.fixed_dictionaries({}, optional=SETTINGS))
    # Some only repeat the kind's default.
    config |= {
        name: OAUTH_KINDS[kind][name]
        for name in draw(st.sets(st.sampled_from(sorted(OAUTH_KINDS[kind]))))
    }
    while problems := login_problems(kind, config):
        for name in problems:
            config.pop(name, None)
        if "client_id" in problems:
            config["client_id"] = "mine"
    return kind, config


def test_every_setting_has_a_field() -> None:
    assert {name.removeprefix("login_") for name in LOGIN_FIELDS} == OAUTH_KEYS


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(login=logins())
def test_a_form_that_nobody_changed_keeps_the_login(
    db: None, login: tuple[str, dict[str, Any]]
) -> None:
    kind, config = login
    assert login_problems(kind, config) == {}
    assert check_json(config) is None
    Provider.objects.all().delete()
    row = make_provider(auth_type=kind, auth_config=config)
    sent = sent_by_a_browser(ProviderForm(instance=row))
    for name in LOGIN_FIELDS:
        # A browser's field of one line drops their ends.
        sent[name] = sent.get(name, "").replace("\n", "").replace("\r", "")
    bound_form = ProviderForm(sent, instance=Provider.objects.get())
    # No superuser: nothing may count as a change.
    assert bound_form.is_valid(), bound_form.errors
    assert bound_form.instance.auth_config == config
    assert repr(bound_form.instance.auth_config) == repr(
        {name: config[name] for name in bound_form.instance.auth_config}
    )


def test_what_was_typed_is_stored_and_a_blank_field_is_the_default(browser: Client) -> None:
    typed = form(
        auth_type="anthropic_oauth",
        login_file_path=" ~/.claude/.credentials.json ",
        login_expiry_path="-",
        login_redirect_port="1455",
        login_default_expires_in_seconds="90.5",
        login_body_format="json",
    )
    browser.post(ADD, typed)
    row = Provider.objects.get()
    assert row.auth_config == {
        "file_path": "~/.claude/.credentials.json",
        "expiry_path": "",
        "redirect_port": 1455,
        "default_expires_in_seconds": 90.5,
        "body_format": "json",
    }
    shown = browser.get(change(row)).context["adminform"].form
    assert (shown["login_expiry_path"].value(), shown["login_scopes"].value()) == ("-", None)
    browser.post(change(row), typed | {"login_file_path": "", "login_redirect_port": ""})
    row.refresh_from_db()
    assert row.auth_config.keys() == {"expiry_path", "default_expires_in_seconds", "body_format"}


def test_each_wrong_setting_has_its_error(browser: Client) -> None:
    wrong = form(
        auth_type="codex_oauth",
        login_redirect_port="99999",
        login_default_expires_in_seconds="soon",
        login_endpoint="ftp://h.example/",
    )
    assert errors(browser.post(ADD, wrong)).keys() == {
        "login_redirect_port",
        "login_default_expires_in_seconds",
        "login_endpoint",
    }


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("login_endpoint", "http://auth.example/token", "Has to begin with https://"),
        ("login_authorize_url", "javascript:alert(1)", "Has to be a web address"),
        ("login_redirect_path", "callback", "Has to start with a slash."),
        ("login_default_expires_in_seconds", "inf", "finite"),
    ],
)
def test_a_wrong_setting_says_why(browser: Client, field: str, value: str, says: str) -> None:
    refused = errors(browser.post(ADD, form(auth_type="codex_oauth", **{field: value})))
    assert list(refused) == [field]
    assert says in str(refused[field])


def test_a_google_login_asks_for_its_client_id(browser: Client) -> None:
    refused = errors(browser.post(ADD, form(auth_type="google_oauth")))
    assert list(refused) == ["login_client_id"]


def test_another_kind_takes_what_stands_in_the_fields(browser: Client) -> None:
    row = make_provider(auth_type="anthropic_oauth", auth_config={"client_id": "mine"})
    browser.post(change(row), form(auth_type="codex_oauth", login_client_id="mine"))
    row.refresh_from_db()
    assert (row.auth_type, row.auth_config) == ("codex_oauth", {"client_id": "mine"})
