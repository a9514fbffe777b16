"""Fields of a form for a policy of retries, which a row stores as one mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
)

from providers.retry_policy import CONNECT, DEFAULT_BUDGET_S, STATUSES, TIMEOUT

if TYPE_CHECKING:
    _RowForm = forms.ModelForm[Any]
else:
    _RowForm = forms.ModelForm

RETRY_FIELDS: Final = ("retry_attempts", "retry_failures", "retry_budget_seconds")
_KEYS: Final = dict(zip(RETRY_FIELDS, ("attempts", "statuses", "budget_seconds"), strict=True))
_FAILURES: Final[dict[str, int | str]] = {
    **{str(status): status for status in STATUSES},
    CONNECT: CONNECT,
    TIMEOUT: TIMEOUT,
}
_WORDS: Final = {CONNECT: "no connection", TIMEOUT: "no response in time"}


class RetryForm(_RowForm):
    """Base of the forms of rows with a policy of retries."""

    retry_attempts = forms.IntegerField(
        required=False,
        label="Attempts",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    retry_failures = forms.MultipleChoiceField(
        required=False,
        choices=[(name, _WORDS.get(name, name)) for name in _FAILURES],
        label="Tried again after",
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Statuses and failures. Without any: all of these.",
    )
    retry_budget_seconds = forms.FloatField(
        required=False,
        label="Longest wait in all",
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=f"Seconds, for all attempts together. Blank: {DEFAULT_BUDGET_S:g}.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = self.instance.retry if isinstance(self.instance.retry, dict) else {}
        if "statuses" in stored:
            # A box is named by the text of its status.
            stored = {**stored, "statuses": [str(failure) for failure in stored["statuses"]]}
        for field, key in _KEYS.items():
            if key in stored:
                self.initial.setdefault(field, stored[key])

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        self.instance.retry = _policy(data)
        return data

    def add_error(self, field: str | None, error: Any) -> None:
        """Move the model's errors of `retry` to its first field, and say one thing of a field.

        The model checks fields again that the form has refused: a required host that is blank is
        also no host name.
        """
        by_field: dict[str, Any] | None = getattr(error, "error_dict", None)
        if field is not None or by_field is None:
            super().add_error(field, error)
            return
        for name, errors in by_field.items():
            shown = RETRY_FIELDS[0] if name == "retry" else name
            if shown == NON_FIELD_ERRORS or shown not in self.errors:
                super().add_error(None, ValidationError({shown: errors}))


def _policy(data: dict[str, Any]) -> dict[str, Any]:
    """Return the mapping to be stored: what was left blank is absent."""
    policy: dict[str, Any] = {}
    if data.get("retry_attempts") is not None:
        policy["attempts"] = data["retry_attempts"]
    if chosen := data.get("retry_failures"):
        policy["statuses"] = [_FAILURES[name] for name in chosen]
    budget_s = data.get("retry_budget_seconds")
    if budget_s is not None:
        policy["budget_seconds"] = int(budget_s) if budget_s.is_integer() else budget_s
    return policy
