"""`ccproxy flows list -f`, `flows clear` on a terminal, `sessions`."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import BaseCommand

from flows.management.actions.following import follow
from flows.models import Flow
from providers.base.errors import CcproxyError
from tests.rows import make_flow

pytestmark = pytest.mark.django_db


def followed(*happenings: Any, **options: Any) -> list[str]:
    """Return the lines that are printed while one thing happens after the other."""
    out = StringIO()
    left = iter(happenings)

    def pause(_: float) -> None:
        happening = next(left, None)
        if happening is None:
            raise KeyboardInterrupt
        happening()

    chosen: dict[str, Any] = {
        "flows": [],
        "filter": None,
        "number": None,
        "jq": [],
        "json": False,
        "among": None,
        "search": "",
    }
    with pytest.raises(KeyboardInterrupt):
        follow(BaseCommand(stdout=out), Namespace(**chosen | options), pause)
    return out.getvalue().splitlines()


def test_each_flow_is_shown_once_when_it_ends():
    make_flow(requested_model="before", age_s=60)
    running = make_flow(requested_model="running", state="live", finished_at=None, age_s=30)

    def end() -> None:
        Flow.objects.filter(pk=running.pk).update(state="done")

    lines = followed(
        lambda: make_flow(requested_model="first", age_s=-1),
        lambda: make_flow(requested_model="begins", state="live", age_s=-2),
        # Written after a newer one: the recorder stores batches.
        lambda: make_flow(requested_model="late", age_s=3),
        end,
        lambda: Flow.objects.filter(requested_model="begins").update(state="error"),
        lambda: make_flow(method="DNS", age_s=-3),
        lambda: None,
    )
    models = [line[34:68].split()[0] for line in lines]
    assert models == ["before", "first", "late", "running", "begins"]


def test_filters_count_and_json_is_a_value_a_line():
    lines = followed(
        lambda: make_flow(status_code=500, requested_model="bad"),
        lambda: make_flow(requested_model="good"),
        json=True,
        filter="status=5xx",
    )
    assert [json.loads(line)["response"]["status_code"] for line in lines] == [500]
    lines = followed(
        lambda: make_flow(requested_model="other"),
        lambda: make_flow(requested_model="wanted"),
        number=1,
        jq=['map(select(.requested_model == "wanted"))'],
    )
    assert len(lines) == 1 and "wanted" in lines[0]


def test_single_flows_cannot_be_followed():
    with pytest.raises(CcproxyError, match="leave out the ids"):
        call_command("flows", "list", "-f", "0123")


def test_clear_asks_a_person(monkeypatch):
    make_flow()
    questions: list[str] = []

    def answer(question: str) -> str:
        questions.append(question)
        return "n"

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", answer)
    with pytest.raises(CcproxyError, match="Nothing is deleted"):
        call_command("flows", "clear", "--all")
    assert questions == ["Delete 1 flow; pinned ones stay? [y/N] "]
    assert Flow.objects.exists()
    call_command("flows", "clear", "--all", "--yes", stdout=StringIO())
    assert len(questions) == 1
    assert not Flow.objects.exists()


def test_sessions_have_the_user_s_words():
    assert shown("sessions") == "No session is recorded yet.\n"
    asked: dict[str, Any] = {"session_id": "s-1", "asked": "Fix the parser", "input_tokens": 100}
    make_flow(**asked, user_agent="claude-cli/2.1 (external)", cost_usd="0.5", age_s=60)
    make_flow(session_id="s-1", status_code=500, age_s=30)
    row = shown("sessions").splitlines()[1]
    assert row.startswith("s-1")
    for part in ("Fix the parser", "claude-cli 2.1", "2 (1 failed)", "$0.500", "ago"):
        assert part in row
    assert json.loads(shown("sessions", "--json"))[0]["title"] == "Fix the parser"


def shown(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()
