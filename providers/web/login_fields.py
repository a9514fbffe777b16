"""Fields of a form for a login's settings, which a provider stores as one mapping.

A blank field stands for the default of the login's kind; a browser shows it as a placeholder.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any, Final

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from providers.auth.base import OAuthAuth
from providers.auth.oauth_kinds import OAUTH_KEYS, OAUTH_KINDS, login_problems
from providers.base.nearest import capitalised
from providers.web.retry_fields import RetryForm

PREFIX: Final = "login_"
NONE: Final = "-"
"""Typed for “without it”, where the kind has a default."""
_FACTS: Final = OAuthAuth.model_fields
_NUMBERS: Final = frozenset(name for name in OAUTH_KEYS if _FACTS[name].annotation in (int, float))
_OPTIONAL: Final = frozenset(name for name in OAUTH_KEYS if _FACTS[name].default == "")
_FORMATS: Final = ("form", "json")


def default_of(kind: str, setting: str) -> Any:
    """Return what a setting is worth that is absent; "" for none."""
    fallback = "" if _FACTS[setting].is_required() else _FACTS[setting].default
    return OAUTH_KINDS[kind].get(setting, fallback)


def _placeholder(setting: str) -> str:
    """Return the expression of Alpine that gives the default of the chosen source."""
    defaults = {kind: _written(default_of(kind, setting)) for kind in OAUTH_KINDS}
    return f"({json.dumps(defaults)})[auth_type]"


def _written(value: Any) -> str:
    """Return a setting as the form shows it: 3600.0 → “3600”, for a reader."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


class LoginField(forms.CharField):
    """One setting of a login as a line of text."""

    def __init__(self, setting: str, label: str, help_text: str = "") -> None:
        attrs = {"spellcheck": "false", "x-bind:placeholder": _placeholder(setting)}
        widget = UnfoldAdminTextInputWidget(attrs=attrs)
        super().__init__(required=False, label=label, help_text=help_text, widget=widget)


class LoginForm(RetryForm):
    """Base of the provider's form: the settings of a login that is renewed."""

    login_file_path = LoginField(
        "file_path", "File", "JSON file on the proxy's machine that holds the login. ~ is expanded."
    )
    login_access_path = LoginField(
        "access_path", "Access token in it", "The keys inside the file, joined by dots."
    )
    login_refresh_path = LoginField("refresh_path", "Refresh token in it")
    login_expiry_path = LoginField(
        "expiry_path",
        "Expiry in it",
        "Milliseconds since 1970. A single “-”: none, the token itself says when it expires.",
    )
    login_id_token_path = LoginField("id_token_path", "ID token in it", "A single “-”: none.")
    login_account_id_path = LoginField("account_id_path", "Account id in it", "A single “-”: none.")
    login_last_refresh_path = LoginField(
        "last_refresh_path", "Time of the last renewal in it", "A single “-”: none."
    )
    login_endpoint = LoginField(
        "endpoint",
        "Token endpoint",
        "Address that renews the login; https, except on this machine.",
    )
    login_client_id = LoginField(
        "client_id", "Client id", "Public identifier of the program that logs in."
    )
    login_body_format = forms.ChoiceField(
        required=False,
        choices=[("", "as the source's default"), *((name, name) for name in _FORMATS)],
        label="Body of a renewal",
        widget=UnfoldAdminSelectWidget,
    )
    login_default_expires_in_seconds = LoginField(
        "default_expires_in_seconds",
        "Life of a token",
        "Seconds, for an endpoint that does not name it.",
    )
    login_authorize_url = LoginField(
        "authorize_url",
        "Login page",
        "Where “ccproxy loginprovider” sends the browser. Blank: only the vendor's own program"
        " logs in.",
    )
    login_scopes = LoginField("scopes", "Scopes", "Separated by spaces.")
    login_redirect_port = LoginField(
        "redirect_port", "Port of the callback", "On this machine. 0: any free one."
    )
    login_redirect_path = LoginField("redirect_path", "Path of the callback")

    def show_login(self, kind: str, stored: Mapping[str, Any]) -> None:
        """Give the fields their first values."""
        for setting in OAUTH_KEYS & stored.keys():
            self.initial.setdefault(f"{PREFIX}{setting}", _shown(kind, setting, stored[setting]))

    def login_config(
        self, kind: str, data: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the settings to be stored.

        Args:
            kind: the login's kind, one of `OAUTH_KINDS`.
            data: the cleaned values of the form.
            stored: what the provider has, if it is of this kind. A setting whose field was not
                changed stays exactly as it is, also where it only repeats the default.
        """
        config = {name: value for name, value in stored.items() if name not in OAUTH_KEYS}
        for setting in OAUTH_KEYS:
            typed = data.get(f"{PREFIX}{setting}") or ""
            is_stored = setting in stored
            shown = _shown(kind, setting, stored[setting]) if is_stored else ""
            if typed == _as_a_line(shown):
                if is_stored:
                    config[setting] = stored[setting]
            elif typed:
                config[setting] = _read(setting, typed)
        return config

    def login_errors(self, kind: str, config: Mapping[str, Any]) -> dict[str, str]:
        """Return what is wrong with the settings, by field of this form."""
        problems = login_problems(kind, config)
        return {f"{PREFIX}{name}": capitalised(text) for name, text in problems.items()}


def _shown(kind: str, setting: str, value: Any) -> str:
    if value == "" and default_of(kind, setting) != "":
        return NONE
    return str(value)


def _as_a_line(text: str) -> str:
    """Return a text as a browser's field of one line sends it, stripped."""
    return text.replace("\r", "").replace("\n", "").strip()


def _read(setting: str, typed: str) -> Any:
    """Return a typed text as a setting: "3600" → 3600. What is no number is refused later."""
    if typed == NONE and setting in _OPTIONAL:
        return ""
    if setting in _NUMBERS:
        for number in (int, float):
            with contextlib.suppress(ValueError):
                return number(typed)
    return typed


LOGIN_FIELDS: Final = tuple(name for name in LoginForm.base_fields if name.startswith(PREFIX))
"""In the order of the page."""
