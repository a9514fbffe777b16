"""Form of the operator's facts: each fact has a field, and what is stored comes back as it was."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from providers.models import ModelFact
from providers.own_facts.fact_form import ModelFactForm
from providers.wire.facts.model_facts import EFFORTS, FIELDS, MEDIA, PARAMETERS, THINKING, WORDS
from tests.sent_form import sent_by_a_browser
from tests.visitors import staff_with

NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)


def some_of(names: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    """Return some names, in their order."""
    return st.sets(st.sampled_from(names)).map(lambda found: [n for n in names if n in found])


LISTS = {
    "refuses": some_of(PARAMETERS),
    "refuses_while_reasoning": some_of(PARAMETERS),
    "ignores": some_of(PARAMETERS),
    "efforts": some_of(EFFORTS),
    "thinking": some_of((*THINKING, "a kind of later")),
    "media": some_of((*MEDIA, "a kind of later")),
    "only_fields": st.lists(NAMES, max_size=4),
    "refused_fields": st.lists(NAMES, max_size=4),
    "thinking_budget": st.tuples(st.integers(0, 9), st.integers(0, 99_999)).map(list),
}
YES_NO = ("one_sampler", "forced_tools", "prefill", "system_in_conversation", "custom_tools")
NUMBERS = ("smallest_budget", "max_output_tokens", "call_id_chars", "user_chars", "max_tools")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **LISTS,
    **{name: st.booleans() for name in YES_NO},
    **{name: st.integers(1, 10**7) for name in NUMBERS},
    **{name: st.sampled_from(words) for name, words in WORDS.items()},
    "vendor": NAMES,
}


def test_the_values_are_of_all_facts() -> None:
    assert set(VALUES) == FIELDS


@given(facts=st.fixed_dictionaries({}, optional=VALUES).filter(bool))
def test_a_form_that_nobody_changed_saves_the_facts_that_it_showed(facts: dict[str, Any]) -> None:
    row = ModelFact(model="m", facts=facts)
    row.clean()
    form = ModelFactForm(sent_by_a_browser(ModelFactForm(instance=row)), instance=row)
    assert form.is_valid(), form.errors
    assert form.instance.facts == facts
    assert not form.changed_data


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "__all__"),
        ({"refuses": ["-", "stop"]}, "refuses"),
        ({"refuses": ["colour"]}, "refuses"),
        ({"thinks": ["sometimes"]}, "thinks"),
        ({"max_output_tokens": ["0"]}, "max_output_tokens"),
        ({"thinking_budget_from": ["1"]}, "thinking_budget_to"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(sent: dict[str, list[str]], field: str) -> None:
    data = QueryDict(mutable=True)
    data.update({"model": "m", "position": "0", "enabled": "on"})
    for name, values in sent.items():
        data.setlist(name, values)
    assert list(ModelFactForm(data).errors) == [field]


@pytest.mark.parametrize("facts", [{"media": [1]}, {"only_fields": [""]}, {"vendor": 3}])
def test_lists_are_of_names(facts: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ModelFact(model="m", facts=facts).clean()


@pytest.mark.django_db
def test_the_page_saves_facts_and_lists_them_in_words(client: Client) -> None:
    rights = [f"providers.{act}_modelfact" for act in ("add", "view", "change")]
    client.force_login(staff_with("editor", *rights))
    sent = {"model": "m", "position": "0", "enabled": "on", "forced_tools": "no"}
    reply = client.post(
        "/admin/providers/modelfact/add/",
        {**sent, "refuses": ["top_p", "stop"], "ignores": "-", "thinking_budget_from": "0",
         "thinking_budget_to": "2000"},
    )  # fmt: skip
    assert reply.status_code == 302
    assert ModelFact.objects.get().facts == {
        "forced_tools": False,
        "ignores": [],
        "refuses": ["top_p", "stop"],
        "thinking_budget": [0, 2000],
    }
    listed = client.get("/admin/providers/modelfact/").content.decode()
    assert "refuses: top_p, stop" in listed
    assert "ignores: none" in listed
    assert "[&quot;" not in listed
