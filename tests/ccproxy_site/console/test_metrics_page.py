"""`/metrics`: who may read it, and what it says."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from ccproxy_site.console.api_tokens import create_api_token
from flows.telemetry.metrics import instruments as metrics
from flows.telemetry.metrics.instruments import Distribution, Instrument, Point
from interceptor.models import InterceptorStatus
from tests.environment import ROOT
from tests.visitors import staff_with

pytestmark = pytest.mark.django_db
ELSEWHERE = "192.0.2.7"


def read(**extra: Any) -> Any:
    return Client().get("/metrics", **extra)


def value_of(instrument: Instrument) -> float | Distribution:
    if instrument.kind == "histogram":
        return Distribution([1] * (len(instrument.bounds) + 1), 7.5)
    return 2.0


def running(instance: str = "host:1", **changes: Any) -> InterceptorStatus:
    now = datetime.now(UTC)
    row = InterceptorStatus(instance=instance, started_at=now, heartbeat_at=now, **changes)
    row.save()
    return row


def samples(text: str) -> dict[tuple[str, Any], Any]:
    """The samples by name, of the last family."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_program_on_this_machine_needs_no_token(address: str) -> None:
    reply = read(REMOTE_ADDR=address)
    assert reply.status_code == 200
    assert reply["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize(
    "extra",
    [
        {"REMOTE_ADDR": ELSEWHERE},
        {"REMOTE_ADDR": ""},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_FORWARDED": "for=127.0.0.1"},
        {"HTTP_AUTHORIZATION": "Token wrong"},
        {"HTTP_AUTHORIZATION": "Basic dTpw"},
    ],
)
def test_others_are_refused(extra: dict[str, str]) -> None:
    running(active_flows=3)
    reply = read(**extra)
    assert reply.status_code == 401
    assert b"ccproxy_" not in reply.content


@pytest.mark.parametrize("keyword", ["Token", "Bearer"])
def test_a_token_of_a_user_with_the_right(keyword: str) -> None:
    user = staff_with("scraper", "flows.view_usagedaily")
    header = f"{keyword} {create_api_token(user)}"
    assert read(REMOTE_ADDR=ELSEWHERE, HTTP_AUTHORIZATION=header).status_code == 200
    user.user_permissions.clear()
    assert read(REMOTE_ADDR=ELSEWHERE, HTTP_AUTHORIZATION=header).status_code == 403


def test_a_user_without_the_right_is_refused_from_here_too() -> None:
    client = Client()
    client.force_login(User.objects.create_user("reader"))
    assert client.get("/metrics").status_code == 403


def test_it_shows_the_proxies_and_the_recorder() -> None:
    labels = {"provider": "main", "model": "m", "type": "input"}
    stored = [Point(metrics.TOKENS, labels, 5.0), Point(metrics.QUEUE_DEPTH, {}, 4.0)]
    running("a:1", active_flows=3, measures=[point.as_json() for point in stored])
    running("a:2", active_flows=1, records_dropped=2, cooldowns=[cooldown()])
    stale = running("a:3", active_flows=9)
    InterceptorStatus.objects.filter(pk=stale.pk).update(
        heartbeat_at=datetime(2020, 1, 1, tzinfo=UTC)
    )
    found = samples(read().content.decode())
    assert found["ccproxy_flows_active", (("proxy", "a:1"),)] == 3
    assert found["ccproxy_flows_active", (("proxy", "a:2"),)] == 1
    assert ("ccproxy_flows_active", (("proxy", "a:3"),)) not in found
    assert found["ccproxy_records_dropped_total", (("proxy", "a:2"),)] == 2
    assert found["ccproxy_queue_depth", ()] == 4
    key = (("model", "m"), ("provider", "main"), ("type", "input"))
    assert found["ccproxy_tokens_total", key] == 5
    skipped = (("cause", "503"), ("model", ""), ("provider", "main"))
    assert found["ccproxy_cooldowns", skipped] == 1


def cooldown() -> dict[str, Any]:
    return {"provider": "main", "model": "", "until": 4e9, "cause": "503"}


def test_it_needs_one_query(django_assert_num_queries: Any) -> None:
    for number in range(5):
        running(f"a:{number}")
    with django_assert_num_queries(1):
        assert read().status_code == 200


def test_what_another_version_has_written_is_left_out() -> None:
    running(measures=[["ccproxy.unknown", {}, 1], ["ccproxy.tokens", {}, {"buckets": []}], 7])
    assert read().status_code == 200


def test_recorders_of_two_machines_are_added_up() -> None:
    point = Point(metrics.DURATION, {"gen_ai.operation.name": "chat"}, Distribution([1] * 15, 2.0))
    for name in ("a:1", "b:1"):
        running(name, measures=[point.as_json()])
    found = samples(read().content.decode())
    labels = (("gen_ai_operation_name", "chat"),)
    assert found["gen_ai_client_operation_duration_seconds_count", labels] == 30
    assert found["gen_ai_client_operation_duration_seconds_sum", labels] == 4.0
    bucket = tuple(sorted([*labels, ("le", "0.04")]))
    assert found["gen_ai_client_operation_duration_seconds_bucket", bucket] == 6


def offered() -> set[str]:
    """The names of all samples that /metrics may show."""
    stored = [Point(one, {"a": "b"}, value_of(one)).as_json() for one in metrics.ALL]
    running(measures=stored, cooldowns=[cooldown()])
    return {name for name, _ in samples(read().content.decode())}


def test_every_metric_has_a_name_of_its_own() -> None:
    assert len({one.prometheus_name for one in metrics.ALL}) == len(metrics.ALL)
    assert len(offered()) == len(metrics.ALL) + 2 * 3


def test_the_dashboard_asks_for_what_is_offered() -> None:
    path = ROOT / "docs/telemetry/grafana-dashboard.json"
    dashboard = json.loads(path.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for query in queries for name in re.findall(r"\b(?:ccproxy|gen_ai)_\w+", query)}
    by_labels = {
        "gen_ai_request_model",
        "gen_ai_provider_name",
        "gen_ai_token_type",
        "gen_ai_operation_name",
    }
    assert len(queries) >= 10
    assert asked - by_labels <= offered()


def test_the_document_names_every_metric() -> None:
    text = (ROOT / "docs/telemetry.md").read_text()
    for one in metrics.ALL:
        suffix = "_total" if one.kind == "counter" else ""
        assert f"| `{one.name}` | `{one.prometheus_name}{suffix}` |" in text
