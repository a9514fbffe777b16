"""Forms of the admin: lists and headers as lines; secrets that can be written but not read."""

from __future__ import annotations

import copy
import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from providers.auth.oauth_kinds import OAUTH_KINDS
from providers.base.header_key import BadKey, check_key, trimmed_key
from providers.base.json_value import check_json
from providers.base.names import WIRE_FORMATS
from providers.base.nearest import capitalised
from providers.fallbacks import BadFallbacks
from providers.models import Provider, TransformRule
from providers.retry_policy import MAX_ATTEMPTS
from providers.services import (
    CODE_REFUSED,
    LOGIN_REFUSED,
    MOVE_REFUSED,
    may_set_code,
    moves_credential,
    sets_new_code,
    sets_new_login,
    unknown_fallback,
)
from providers.web.login_fields import LOGIN_FIELDS, LoginForm
from providers.web.password_check import password_problem
from providers.web.retry_fields import RetryForm


class StrictJSONField(forms.JSONField):
    """JSON in a text area. Texts that cannot be parsed or stored are errors of the field."""

    def to_python(self, value: Any) -> Any:
        try:
            parsed = super().to_python(value)
        except (ValueError, RecursionError):
            raise ValidationError("This is not JSON that can be stored.") from None
        if problem := check_json(parsed):
            raise ValidationError(problem)
        return parsed

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if self.disabled else data  # shown again as it was typed, not parsed

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False, cls=self.encoder)


class ShortTextarea(UnfoldAdminTextareaWidget):
    """Text area of a few lines that can be dragged larger."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"rows": 4, "spellcheck": "false", **(attrs or {})})


class LinesField(forms.CharField):
    """List of texts, one a line."""

    widget = ShortTextarea

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((initial or []) != self.to_python(data))


class HeaderLinesField(forms.CharField):
    """Mapping of headers, written as lines “name: value”."""

    widget = ShortTextarea

    def prepare_value(self, value: Any) -> Any:
        return (
            "\n".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, dict) else value
        )

    def to_python(self, value: Any) -> Any:
        headers: dict[str, str] = {}
        for line in (value or "").splitlines():
            name, colon, text = line.partition(":")
            if line.strip() and not colon:
                raise ValidationError(
                    f"Write each header as “name: value”; this line has no colon: “{line[:60]}”."
                )
            if colon:
                headers[name.strip()] = text.strip()
        return headers

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or {}) != self.to_python(data))
        except ValidationError:
            return True


class FallbacksField(LinesField):
    """List of fallbacks, one a line; each names a provider."""

    def validate(self, value: Any) -> None:
        super().validate(value)
        try:
            problem = unknown_fallback(value)
        except BadFallbacks as exc:
            raise ValidationError(str(exc)) from None
        if problem:
            raise ValidationError(capitalised(problem))


ATTEMPTS_HELP = f"From 2 to {MAX_ATTEMPTS}, with the first one."

RULE_LABELS = {
    "match_host": "Host",
    "match_path": "Path",
    "match_model": "Model",
    "dest_provider": "To provider",
    "dest_model": "To model",
    "dest_host": "To host",
    "dest_path": "To path",
    "dest_vertex_project": "Vertex project",
    "dest_vertex_location": "Vertex location",
}
"""Labels of a rule's fields, which stand under "When all of these match" and "Then"."""


class RuleForm(RetryForm):
    """Form of a transform rule."""

    fallbacks = FallbacksField(
        required=False,
        help_text=(
            "Who gets a request that failed, in order, one a line: PROVIDER or PROVIDER/MODEL."
            " Blank: as the provider says."
        ),
    )

    class Meta:
        model = TransformRule
        exclude = ["retry"]  # the admin's fieldsets choose
        labels = RULE_LABELS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["retry_attempts"].help_text = f"{ATTEMPTS_HELP} Blank: as the provider says."


class ProviderForm(LoginForm):
    """Form of a provider, with its credential source as plain fields."""

    native_formats = forms.MultipleChoiceField(
        choices=WIRE_FORMATS,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        label="Also speaks",
        help_text="Further wire formats this host speaks itself on the same base path.",
    )
    headers = HeaderLinesField(
        required=False,
        label="Extra headers",
        help_text="Set on every request, one “name: value” a line. Not secrets.",
    )
    model_names = LinesField(
        required=False,
        label="Models",
        help_text="Names for /v1/models, one a line. Blank: from the price catalogue.",
    )
    fallbacks = FallbacksField(
        required=False,
        help_text=(
            "Who gets a request that failed here, in order, one a line: PROVIDER or PROVIDER/MODEL."
            " They may have other formats."
        ),
    )
    new_secret = forms.CharField(
        required=False,
        max_length=10_000,
        strip=True,
        label="API key or client secret",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text="Stored encrypted and never shown again. Paste a new one to replace it.",
    )
    own_password = forms.CharField(
        required=False,
        max_length=1000,
        strip=False,
        label="Your password",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "current-password"}),
        help_text="Needed to send the stored credential to another address.",
    )
    forget_secret = forms.BooleanField(
        required=False, label="Forget the stored secret", widget=UnfoldBooleanWidget
    )
    auth_command = forms.CharField(
        required=False,
        max_length=4000,
        label="Command",
        widget=UnfoldAdminTextInputWidget,
        help_text="A shell command; its output, stripped, is the credential.",
    )
    auth_file = forms.CharField(
        required=False,
        max_length=4000,
        label="File",
        widget=UnfoldAdminTextInputWidget,
        help_text=(
            "A file on the proxy's machine; its content, stripped, is the credential. ~ is"
            " expanded."
        ),
    )

    # Credential source -> (key of its configuration, field of this form).
    SOURCES = {"command": ("command", "auth_command"), "file": ("file", "auth_file")}

    user: Any = None  # set by the admin: decides whether commands may be set

    class Meta:
        model = Provider
        fields = [
            "name",
            "enabled",
            "type",
            "scheme",
            "host",
            "port",
            "path",
            "native_formats",
            "verify_tls",
            "headers",
            "model_names",
            "fingerprint_profile",
            "fallbacks",
            "cooldown_seconds",
            "server_tools",
            "auth_type",
            "auth_header",
        ]
        labels = {
            "verify_tls": "Verify TLS",
            "auth_type": "Source",
            "auth_header": "Header",
            "type": "Main format",
        }
        help_texts = {
            "fingerprint_profile": "Browser whose TLS handshake is imitated, such as chrome131;"
            " captured: the client of the active shape; blank: ccproxy's own."
            " The provider's terms apply.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[
            "retry_attempts"
        ].help_text = f"{ATTEMPTS_HELP} Blank: a failure is forwarded at once."
        self._before = (
            Provider.objects.filter(pk=self.instance.pk).first() if self.instance.pk else None
        )
        if self._before is not None:
            for key, field in self.SOURCES.values():
                self.initial[field] = self._before.auth_config.get(key, "")
            if self._before.auth_type in OAUTH_KINDS:
                self.show_login(self._before.auth_type, self._before.auth_config)
        if self._before is None or self._before.auth_type == "none":
            self.fields.pop("own_password", None)
        if self._before is None or not self._before.secret:
            self.fields.pop("forget_secret", None)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        self._set_source(data)
        self._set_secret(data)
        self._refuse_move(data)
        return data

    def add_error(self, field: str | None, error: Any) -> None:
        """Move the model's errors of `auth_config` to the plain field that holds the value."""
        if field is None and "auth_config" in getattr(error, "error_dict", {}):
            problem = error.error_dict.pop("auth_config")
            for name, text in self._source_errors(problem).items():
                super().add_error(name, text)
        super().add_error(field, error)

    def _source_errors(self, problem: Any) -> dict[str, Any]:
        """Return the model's error of `auth_config` by the field of this form that can mend it."""
        row = self.instance
        if row.auth_type in self.SOURCES:
            return {self.SOURCES[row.auth_type][1]: problem}
        if row.auth_type in OAUTH_KINDS and isinstance(row.auth_config, dict):
            return self.login_errors(row.auth_type, row.auth_config) or {"auth_type": problem}
        return {"auth_type": problem}

    def _set_source(self, data: dict[str, Any]) -> None:
        """Compose `auth_config`, and refuse code that may not be set in the browser."""
        auth_type = data.get("auth_type", "")
        if auth_type in self.SOURCES:
            key, field = self.SOURCES[auth_type]
            self.instance.auth_config = {key: data.get(field, "").strip()}
        elif auth_type in OAUTH_KINDS:
            self.instance.auth_config = self.login_config(
                auth_type, data, self._stored_login(auth_type)
            )
        elif self._before is None or self._before.auth_type != auth_type:
            self.instance.auth_config = {}
        after = Provider(auth_type=auth_type, auth_config=self.instance.auth_config)
        if sets_new_code(after, self._before) and not may_set_code(self.user):
            _, field = self.SOURCES[auth_type]
            self.add_error(field, CODE_REFUSED)
        is_superuser = bool(self.user and self.user.is_superuser)
        if sets_new_login(after, self._before) and not is_superuser:
            changed = [name for name in self.changed_data if name in LOGIN_FIELDS]
            self.add_error(changed[0] if changed else "auth_type", LOGIN_REFUSED)

    def _stored_login(self, auth_type: str) -> dict[str, Any]:
        """Return the stored settings of a login of this kind; none if the source is another."""
        if self._before is None or self._before.auth_type != auth_type:
            return {}
        stored: dict[str, Any] = self._before.auth_config
        return stored

    def _refuse_move(self, data: dict[str, Any]) -> None:
        """Report a destination that would get a credential that its mover cannot see."""
        after = copy.copy(self.instance)
        for name in ("scheme", "host", "port", "path", "verify_tls", "auth_type"):
            setattr(after, name, data.get(name, getattr(after, name)))
        if not moves_credential(after, self._before):
            return
        if not (self.user and self.user.is_superuser):
            self.add_error("host", MOVE_REFUSED)
        elif problem := password_problem(self.user, data.get("own_password", ""), "move"):
            self.add_error("own_password", problem)

    def _set_new_secret(self, key: str, auth_type: Any) -> None:
        """Keep the key, or report beside its field why no header can carry it."""
        if auth_type == "key":
            try:
                check_key(key)
            except BadKey as exc:
                self.add_error("new_secret", f"The key {exc}.")
                return
        self.instance.secret = key

    def _set_secret(self, data: dict[str, Any]) -> None:
        if data.get("new_secret"):
            self._set_new_secret(trimmed_key(data["new_secret"]), data.get("auth_type"))
        elif data.get("forget_secret"):
            self.instance.secret = ""
