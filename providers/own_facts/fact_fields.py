"""Fields of a form for facts about a model. Each gives the fact's value, or None if none is stated.

A fact may be stated as empty: “refuses nothing” overrides the table, a blank field does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
)

from providers.forms import LinesField

AS_THE_TABLE = "as the table says"
NONE_OF_THESE = "none of these"
EMPTY = "-"
"""Sent for a fact that is stated as empty; no name of a fact's value."""


class FactField(forms.Field):
    """Base of the fields: optional, and with a form of its value that a browser sends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, required=False, **kwargs)

    def as_sent(self, value: Any) -> Any:
        """Return a stored fact as a browser would send it."""
        return value


class YesNoFact(FactField, forms.TypedChoiceField):
    """A fact that is true or false."""

    def __init__(self, label: str, help_text: str = "") -> None:
        super().__init__(
            label=label,
            help_text=help_text,
            choices=[("", AS_THE_TABLE), ("yes", "yes"), ("no", "no")],
            coerce="yes".__eq__,
            empty_value=None,
            widget=UnfoldAdminSelectWidget,
        )

    def as_sent(self, value: Any) -> Any:
        return "yes" if value else "no"


class WordFact(FactField, forms.TypedChoiceField):
    """A fact that is one of some words; `empty` is what the empty word means."""

    def __init__(
        self, label: str, words: Iterable[str], help_text: str = "", empty: str = "unknown"
    ) -> None:
        choices = [(word or EMPTY, word or empty) for word in words]
        super().__init__(
            label=label,
            help_text=help_text,
            choices=[("", AS_THE_TABLE), *choices],
            coerce=_word,
            empty_value=None,
            widget=UnfoldAdminSelectWidget,
        )

    def as_sent(self, value: Any) -> Any:
        return value or EMPTY


def _word(sent: str) -> str:
    return "" if sent == EMPTY else sent


class NumberFact(FactField, forms.IntegerField):
    """A fact that is a whole number, of tokens, characters or tools."""

    def __init__(self, label: str, help_text: str = "", min_value: int = 1) -> None:
        super().__init__(
            label=label,
            help_text=help_text,
            min_value=min_value,
            widget=UnfoldAdminIntegerFieldWidget,
        )


class NamesFact(FactField, forms.MultipleChoiceField):
    """A fact that is a list of known names."""

    def __init__(self, label: str, names: Iterable[str], help_text: str = "") -> None:
        self._known = tuple(names)
        super().__init__(
            label=label,
            help_text=help_text,
            choices=[(EMPTY, NONE_OF_THESE), *((name, name) for name in self._known)],
            widget=UnfoldAdminCheckboxSelectMultipleWidget,
        )

    def as_sent(self, value: Any) -> Any:
        return list(value) or [EMPTY]

    def offer(self, names: Iterable[str]) -> None:
        """Add names that a stored row has and the list of choices lacks."""
        more = [(name, name) for name in names if name not in self._known]
        self.choices = [(EMPTY, NONE_OF_THESE), *((name, name) for name in self._known), *more]

    def clean(self, value: Any) -> list[str] | None:
        sent: list[str] = super().clean(value)
        if EMPTY in sent and len(sent) > 1:
            raise ValidationError("Choose “none of these”, or some of them.")
        return None if not sent else [name for name in sent if name != EMPTY]


class LinesFact(FactField, LinesField):
    """A fact that is a list of any names, one a line; a single “-” states an empty list."""

    def as_sent(self, value: Any) -> Any:
        return "\n".join(value) or EMPTY

    def clean(self, value: Any) -> list[str] | None:
        lines: list[str] = super().clean(value)
        if lines == [EMPTY]:
            return []
        return lines or None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(initial) != self.to_python(data))
