"""The operator's facts: checked when saved, carried by the snapshot, shown by the command."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command

from interceptor.config.snapshot.load import load_snapshot
from providers.models import ConfigRevision, ModelFact
from tests.visitors import staff_with


@pytest.mark.django_db
def test_own_rows_reach_the_snapshot_and_override_the_table() -> None:
    before = load_snapshot().model_facts
    assert before.of("gpt-4o").max_output_tokens == 16_384
    ModelFact.objects.create(model="gpt-4*", host="*.example", facts={"max_output_tokens": 7})
    ModelFact.objects.create(model="gpt-4o", facts={"prefill": False}, enabled=False)
    table = load_snapshot().model_facts
    assert table.of("gpt-4o", "api.example").max_output_tokens == 7
    assert table.of("gpt-4o", "api.openai.com").max_output_tokens == 16_384
    assert table.of("gpt-4o").prefill


@pytest.mark.django_db(transaction=True)
def test_a_saved_row_raises_the_revision() -> None:
    before = ConfigRevision.current()
    ModelFact.objects.create(model="m", facts={"prefill": False})
    assert ConfigRevision.current() > before


@pytest.mark.parametrize(
    "facts",
    [
        {},
        [],
        {"colour": "red"},
        {"refuses": "temperature"},
        {"refuses": ["colour"]},
        {"efforts": ["huge"]},
        {"prefill": "no"},
        {"max_output_tokens": 0},
        {"thinks": "sometimes"},
        {"thinking_budget": [1]},
    ],
)
def test_facts_that_the_proxy_could_not_use_are_refused(facts) -> None:
    with pytest.raises(ValidationError):
        ModelFact(model="m", facts=facts).clean()


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("models", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_the_command_shows_a_model_and_where_its_facts_are_from() -> None:
    text = run("claude-opus-5-5")
    assert "forced_tools" in text
    assert "migration-guide" in text
    ModelFact.objects.create(model="claude-opus-5-5", facts={"max_output_tokens": 9}, source="me")
    report = json.loads(run("claude-opus-5-5", "--json"))
    assert report["known"] is True
    assert report["facts"]["max_output_tokens"] == 9
    assert "me" in report["sources"]
    assert "family" in run("claude-opus-9")
    assert "Nothing is known" in run("llama3.3")


@pytest.mark.django_db
def test_the_command_shows_the_table() -> None:
    rows = json.loads(run("--json"))
    assert len(rows) > 40
    assert all(row["source"] and row["facts"] for row in rows)
    assert "claude" in run()


@pytest.mark.django_db
def test_the_page_shows_a_model_and_the_table(client) -> None:
    client.force_login(staff_with("viewer", "flows.view_flow"))
    ModelFact.objects.create(model="mine-*", host="a.example", facts={"prefill": False})
    shown = client.get("/models/", {"model": "claude-opus-5-5"}).content.decode()
    assert "forced tools" in shown
    assert "migration-guide" in shown
    assert "mine-*" in shown
    assert "family are assumed" in client.get("/models/?model=claude-opus-9").content.decode()
    assert "Nothing is known" in client.get("/models/?model=%3Cb%3E").content.decode()
    assert "<b>" not in client.get("/models/?model=%3Cb%3E").content.decode()
