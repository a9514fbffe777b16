"""Tokens, cost and the daily sums are written with the flow, once, and never in its way."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from flows.models import Flow, UsageDaily
from flows.record import FlowRecord, WebSocketRecord
from flows.redaction.redactor import Redactor
from flows.writer import batch
from flows.writer.batch import write_batch
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from providers.models import PriceOverride
from providers.prices.own_prices import OwnPrices
from tests.flows.records import flow, live, side

pytestmark = pytest.mark.django_db
USAGE = {
    "input_tokens": 100,
    "cache_read_input_tokens": 800,
    "cache_creation_input_tokens": 100,
    "output_tokens": 50,
}


def answered(
    flow_id: str = "flow-1", usage: dict[str, Any] | None = None, **changes: Any
) -> FlowRecord:
    """A finished call of Anthropic's haiku."""
    body = json.dumps({"type": "message", "usage": usage or USAGE}).encode()
    base = flow(flow_id)
    options = {
        "sides": (*base.sides[:2], side("upstream", body), side("delivered", b"{}")),
        "sent_model": "claude-haiku-4-5",
        "provider": "anthropic",
        "provider_type": "anthropic",
        "forwarded_url": "https://api.anthropic.com/v1/messages",
        "session_id": "s1",
    }
    return flow(flow_id, **options | changes)


def write(*records: FlowRecord) -> None:
    builder = RowBuilder(Redactor(SecretRegistry()), OwnPrices())
    write_batch([builder.build(record) for record in records])


def test_a_finished_flow_has_tokens_and_a_cost() -> None:
    write(answered())
    stored = Flow.objects.get()
    assert (stored.input_tokens, stored.output_tokens) == (1000, 50)
    assert (stored.cache_read_tokens, stored.cache_write_tokens, stored.reasoning_tokens) == (
        800,
        100,
        None,
    )
    # 100 fresh at $1, 800 read at $0.1, 100 written at $1.25, 50 out at $5 a million
    assert stored.cost_usd == Decimal("0.000555")
    assert stored.price_version.startswith("genai-prices ")


@pytest.mark.parametrize(
    "changes",
    [
        {"sent_model": "my-own-model", "requested_model": ""},
        {"forwarded_url": "http://127.0.0.1:8080/v1/messages"},
        {"usage": {"input_tokens": 5}},
    ],
)
def test_what_is_not_known_stays_unknown(changes: dict[str, Any]) -> None:
    write(answered(**changes))
    stored = Flow.objects.get()
    assert stored.cost_usd is None
    assert stored.price_version == ""


def test_a_running_flow_has_no_figures_yet_and_gets_them_at_the_end() -> None:
    write(live(sent_model="claude-haiku-4-5"))
    assert not UsageDaily.objects.exists()
    assert Flow.objects.get().input_tokens is None
    write(answered())
    assert Flow.objects.get().input_tokens == 1000
    assert UsageDaily.objects.get().requests == 1


def test_an_absurd_count_does_not_cost_the_flow() -> None:
    write(answered(usage={"input_tokens": 10**15, "output_tokens": -4}))
    stored = Flow.objects.get()
    assert (stored.input_tokens, stored.output_tokens, stored.cost_usd) == (None, None, None)


def test_a_price_of_ones_own_wins() -> None:
    PriceOverride.objects.create(model="other", input_usd=9, output_usd=9)
    own = PriceOverride.objects.create(
        model="claude-haiku-*", provider="anthropic", input_usd=2, output_usd=10, cache_read_usd=1
    )
    write(answered(forwarded_url="http://127.0.0.1:9/v1/messages"))
    stored = Flow.objects.get()
    assert stored.cost_usd == (200 * 2 + 800 * 1 + 50 * 10) / Decimal(1_000_000)
    assert stored.price_version == f"own price {own.pk}"


def test_a_websocket_counts_what_its_answers_say() -> None:
    body = {"type": "response.completed", "response": {"model": "gpt-5-mini", "usage": {
        "input_tokens": 1_000_000, "output_tokens": 0, "total_tokens": 1_000_000}}}  # fmt: skip
    message = WebSocketRecord(0, 1.0, False, True, json.dumps(body).encode())
    write(
        answered(
            sides=flow().sides[:2], is_websocket=True, messages=(message,), sent_model="",
            requested_model="",
            forwarded_url="https://api.openai.com/v1/responses", provider_type="openai_responses",
        )
    )  # fmt: skip
    assert Flow.objects.get().cost_usd == Decimal("0.25")


def test_the_daily_sums_count_a_flow_once_however_often_it_is_handed_over() -> None:
    write(answered("a"), answered("b", status_code=529), answered("c", sent_model="new-model"))
    write(answered("a"))
    write(answered("b", usage=USAGE | {"output_tokens": 150}))
    rows = {row.model: row for row in UsageDaily.objects.all()}
    haiku = rows["claude-haiku-4-5"]
    assert (haiku.day.isoformat(), haiku.provider, haiku.session_id) == (
        "2026-05-28",
        "anthropic",
        "s1",
    )
    assert (haiku.requests, haiku.failed, haiku.input_tokens, haiku.output_tokens) == (
        2,
        0,
        2000,
        200,
    )
    assert (haiku.cache_read_tokens, haiku.cache_write_tokens) == (1600, 200)
    assert haiku.cost_usd == Decimal("0.00161")
    assert (rows["new-model"].unpriced, rows["new-model"].cost_usd) == (1, None)
    assert (haiku.cacheable_tokens, haiku.reasoning_tokens) == (2000, None)


def test_what_is_no_call_of_a_model_is_no_usage() -> None:
    write(flow(requested_model="", path="/api/event_logging"))
    assert not UsageDaily.objects.exists()


def test_sums_that_fail_do_not_cost_the_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        UsageDaily.objects.create(day="2026-05-28", requests=-1)  # the database refuses it

    monkeypatch.setattr(batch, "roll_up", broken)
    write(answered())
    assert Flow.objects.count() == 1
    assert not UsageDaily.objects.exists()
