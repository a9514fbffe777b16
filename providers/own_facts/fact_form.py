"""Form of the operator's facts about a model: a named field for each fact that a row may state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from providers.models import ModelFact
from providers.own_facts.fact_fields import (
    FactField,
    LinesFact,
    NamesFact,
    NumberFact,
    WordFact,
    YesNoFact,
)
from providers.wire.facts.model_facts import EFFORTS, FIELDS, MEDIA, PARAMETERS, THINKING, WORDS

if TYPE_CHECKING:
    _FactModelForm = forms.ModelForm[ModelFact]
else:
    _FactModelForm = forms.ModelForm

LINES_HELP = "One a line; a single “-” states that there are none."


class TextFact(FactField, forms.CharField):
    """A fact that is a text."""


class ModelFactForm(_FactModelForm):
    """Facts about a model. A fact that is left blank stays as the table says."""

    vendor = TextFact(
        max_length=100,
        empty_value=None,
        widget=UnfoldAdminTextInputWidget,
        help_text="Named where a flow's page says why a field was left out. Blank: you.",
    )
    refuses = NamesFact("Refuses", PARAMETERS, "With any value but the vendor's default.")
    refuses_while_reasoning = NamesFact(
        "Refuses while it reasons", PARAMETERS, "Taken with effort “none” alone."
    )
    ignores = NamesFact("Ignores", PARAMETERS, "Accepted without any effect.")
    one_sampler = YesNoFact("One sampler alone", "It takes temperature or top_p, not both.")
    thinks = WordFact("Thinks", WORDS["thinks"])
    thinking = NamesFact(
        "Notations of thinking",
        THINKING,
        "Kinds of Anthropic's “thinking”, or Google's budget or level.",
    )
    thinking_off = WordFact("Thinking is turned off by", WORDS["thinking_off"])
    efforts = NamesFact("Levels of effort", EFFORTS)
    thinking_budget_from = NumberFact("Thinking budget from", "Tokens.", min_value=0)
    thinking_budget_to = NumberFact("Thinking budget to", "Tokens.", min_value=0)
    smallest_budget = NumberFact("Smallest budget other than 0", "Tokens.")
    forced_tools = YesNoFact(
        "Can be forced to call a tool", "It accepts a tool choice that demands a call."
    )
    chat_tools = WordFact(
        "Function tools on Chat Completions",
        WORDS["chat_tools"],
        "“effort none”: without reasoning alone. “Responses alone”: not on Chat Completions.",
    )
    custom_tools = YesNoFact("Free-form tools on Chat Completions")
    max_tools = NumberFact("Most tools")
    strict = WordFact(
        "Strict schemas",
        WORDS["strict"],
        "Dialect of JSON Schema that a strict tool or structured output must follow.",
        empty="no dialect",
    )
    prefill = YesNoFact("Prefill", "It continues an assistant's message at the end.")
    system_in_conversation = YesNoFact(
        "System messages in the conversation",
        "It accepts a system message after the first user message.",
    )
    reads = NamesFact("Reads", MEDIA, "Kinds of media.")
    max_output_tokens = NumberFact("Most output tokens")
    call_id_chars = NumberFact("Longest id of a tool call", "Characters, on Chat Completions.")
    user_chars = NumberFact("Longest id of a user", "Characters.")
    user_field = WordFact("Field for the user's id", WORDS["user_field"])
    seed_field = WordFact("Field for the seed", WORDS["seed_field"])
    only_fields = LinesFact(
        label="Takes these fields alone", help_text=f"Of Chat Completions. {LINES_HELP}"
    )
    refused_fields = LinesFact(
        label="Refuses these fields",
        help_text=f"Such as logit_bias or messages[].name. {LINES_HELP}",
    )

    class Meta:
        model = ModelFact
        fields = ["model", "host", "enabled", "position", "source", "comment"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, value in _by_field(self.instance.facts or {}).items():
            field = self.fields.get(name)
            if isinstance(field, NamesFact):
                field.offer(value)
            if isinstance(field, FactField):
                self.initial.setdefault(name, field.as_sent(value))

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        budget = [data.get("thinking_budget_from"), data.get("thinking_budget_to")]
        if budget.count(None) == 1:
            self.add_error("thinking_budget_to", "Give both ends of the budget, or neither.")
        stated = {name: data.get(_field_of(name)) for name in FIELDS}
        if None not in budget:
            stated["thinking_budget"] = budget
        self.instance.facts = {
            name: value for name, value in sorted(stated.items()) if value is not None
        }
        return data

    def add_error(self, field: str | None, error: Any) -> None:
        """Report above the form what is wrong with all facts together.

        Beside an error of one of their fields it would say nothing more.
        """
        by_field = getattr(error, "error_dict", {})
        of_facts = by_field.pop("facts", None)
        if of_facts and not self.errors:
            super().add_error(None, of_facts)
        if not of_facts or by_field:
            super().add_error(field, error)


def _field_of(name: str) -> str:
    """Return the form's field of a fact. Each form of Django has another `media`."""
    return "reads" if name == "media" else name


def _by_field(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the stored facts by the form's fields; two of these hold the budget."""
    found = {_field_of(name): value for name, value in facts.items() if name != "thinking_budget"}
    if budget := facts.get("thinking_budget"):
        found["thinking_budget_from"], found["thinking_budget_to"] = budget
    return found
