"""Attempts of a request: stored in the text of the steps, shown on the Timing tab."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from flows.models import Flow, FlowParts
from flows.reading.sentence import sentence
from flows.record import AttemptRecord
from flows.redaction.redactor import Redactor
from flows.sides import read_attempts, read_traces, write_parts
from flows.writer.batch import write_batch
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.flows.records import flow

ATTEMPTS = (
    AttemptRecord(1, "", 2.5, 40.0, 503, "a.example"),
    AttemptRecord(2, "503: <busy>", 1042.5, 60.25, None, "b.example", wait_ms=1234.0),
)
SENT_TWICE = flow(attempts=ATTEMPTS, duration_ms=1102.75)
SECRET = "sk-secret-0123456789abcdef"

pytestmark = pytest.mark.django_db


@pytest.fixture
def stored() -> Iterator[str]:
    """The id of a flow whose request was sent twice."""
    write_batch([RowBuilder(Redactor(SecretRegistry())).build(SENT_TWICE)])
    yield flow().id


def test_they_are_read_as_they_were_written() -> None:
    texts = write_parts((), (), ATTEMPTS)
    assert read_attempts(texts.steps) == list(ATTEMPTS)
    assert read_traces(texts.headers, texts.steps) == []


def test_a_request_that_was_sent_once_has_none() -> None:
    assert read_attempts(write_parts((), ()).steps) == []
    assert "attempts" not in RowBuilder(Redactor(SecretRegistry())).build(flow()).parts.steps
    assert FlowParts().attempts() == []


def test_secrets_are_cut_out_of_them() -> None:
    registry = SecretRegistry()
    registry.add(SECRET)
    attempt = AttemptRecord(2, f"key {SECRET} refused", 0.0, None, None, f"{SECRET}.example")
    rows = RowBuilder(Redactor(registry)).build(flow(attempts=(attempt,)))
    assert SECRET not in rows.parts.steps
    assert rows.attempts[0].number == 2


def test_the_timing_tab_shows_them(stored: str, staff: Client) -> None:
    html = staff.get(f"/flows/{stored}/?tab=timing").content.decode()
    assert "<h2>Attempts</h2>" in html
    assert "503: &lt;busy&gt;" in html and "<busy>" not in html
    assert "1.2 s" in html and "sent 2 times after 503" in html
    assert "a.example" in html and "b.example" in html


def test_fallbacks_are_named(staff: Client) -> None:
    attempts = (
        AttemptRecord(1, "", 2.5, 40.0, 503, "a.example", 0.0, "main", "large", "", 1200, 80),
        AttemptRecord(2, "x", 50.0, 9.0, None, "b.example", 0.0, "backup", "large", "connect"),
        AttemptRecord(3, "y", 60.0, 9.0, 200, "c.example", 0.0, "local", "small", "", 1100, 4096),
    )
    sent = flow("chained", attempts=attempts, duration_ms=70.0)
    write_batch([RowBuilder(Redactor(SecretRegistry())).build(sent)])
    html = staff.get("/flows/chained/?tab=timing").content.decode()
    assert "sent to local after 503 of main and no response of backup" in html
    assert "main/large at" in " ".join(html.split())
    assert "connect" in html and "4.1 KB" in html


@pytest.mark.parametrize(
    ("candidates", "text"),
    [
        ([("a", "m", 503), ("a", "n", 200)], "sent to a/n after 503 of a/m"),
        ([("a", "m", 503), ("a", "m", 429), ("b", "m", 200)],
         "sent 3 times, to b after 503 of a and 429 of a"),
        ([("", "", 401), ("", "", 200)], "sent 2 times after 401"),
    ],
)  # fmt: skip
def test_the_sentence(candidates: list[tuple[str, str, int]], text: str) -> None:
    attempts = [
        AttemptRecord(1, "", 0.0, 1.0, status, "h", 0.0, provider, model)
        for provider, model, status in candidates
    ]
    assert text in [part.text for part in sentence(Flow(method="POST", path="/"), (), attempts)]


def test_the_timing_tab_of_other_flows_shows_none(staff: Client) -> None:
    write_batch([RowBuilder(Redactor(SecretRegistry())).build(flow("once", duration_ms=5.0))])
    assert "Attempts" not in staff.get("/flows/once/?tab=timing").content.decode()


def test_rows_from_before_waits_were_recorded_are_read() -> None:
    texts = write_parts((), (), ATTEMPTS)
    older = texts.steps.replace(',"wait_ms":0.0', "").replace(',"wait_ms":1234.0', "")
    assert "wait_ms" not in older
    assert [attempt.wait_ms for attempt in read_attempts(older)] == [0.0, 0.0]
