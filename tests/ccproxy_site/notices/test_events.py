"""Events that are worth a notice, and how many of them are sent."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from ccproxy_site.models import SentNotice
from ccproxy_site.notices import state_watches
from ccproxy_site.notices.courier import Courier
from ccproxy_site.notices.flow_notice import FlowNotices
from ccproxy_site.notices.kept_notices import KEPT, keep_notice
from ccproxy_site.notices.notice import Notice, notice
from ccproxy_site.notices.notice_channel import Outcome
from ccproxy_site.notices.notice_limiter import NoticeLimiter
from ccproxy_site.notices.notice_thread import MAX_FAILURES, NoticeThread
from ccproxy_site.notices.setup import notice_thread
from ccproxy_site.notices.state_watches import LoginWatch
from flows.models import Flow, FlowLink, UsageDaily
from interceptor.config.files.server import ServerSettings
from tests.ccproxy_site.process.test_flow_lines import finished
from tests.e2e.process import wait_until
from tests.flows.lineage.test_linker import record
from tests.flows.writer.rows.test_socket_texts import socket
from tests.rows import make_flow

pytestmark = pytest.mark.django_db
CONSOLE = "http://127.0.0.1:8083"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def thread_of(*kinds: str, **conf: Any) -> NoticeThread:
    """The thread as the settings make it; its looks are made by hand."""
    settings = ServerSettings.model_validate({"notices": {"kinds": kinds, **conf}})
    made = notice_thread(
        settings,
        redact=lambda text: text.replace("sk-secret", "[redacted]"),
        problem=lambda: conf.get("problem", ""),
        cooldowns=list,
    )
    assert made is not None
    return made


def texts() -> list[str]:
    return [row.text for row in SentNotice.objects.order_by("pk")]


def test_off_there_is_nothing():
    settings = ServerSettings()
    assert notice_thread(settings, redact=str, problem=str, cooldowns=list) is None


def test_failures_and_nothing_else():
    thread = thread_of("failure")
    for fields in (
        {},
        {"method": "DNS", "status_code": 500},
        {"state": "error", "error": "Client disconnected before the end"},
    ):
        thread.finished(finished(make_flow(**fields)))
    thread.look()
    assert texts() == []
    flow = make_flow(
        status_code=529, path="/v1/messages?key=x", said="prompt repeated", asked="my prompt"
    )
    thread.finished(finished(flow))
    thread.look()
    (row,) = SentNotice.objects.all()
    assert row.text == "POST /v1/messages of provider anthropic failed with 529"
    assert row.facts["flow"] == flow.pk
    assert row.facts["model"] == "claude-haiku-4-5"
    assert row.facts["url"] == f"{CONSOLE}/flows/{flow.pk}/"
    assert "prompt" not in str(row.facts)


def test_texts_are_in_it_where_that_is_set():
    thread = thread_of("failure", content=True)
    flow = make_flow(status_code=400, said="too long sk-secret", asked="my prompt")
    thread.finished(finished(flow))
    thread.look()
    (row,) = SentNotice.objects.all()
    assert row.text.endswith("failed with 400: too long [redacted]")
    assert row.facts["asked"] == "my prompt"
    assert row.facts["said"] == "too long [redacted]"


def test_a_cut_stream_failed_without_the_status_of_its_beginning():
    thread = thread_of("failure")
    cut = make_flow(status_code=200, state="error", error="the provider closed the connection")
    thread.finished(finished(cut))
    thread.look()
    assert texts() == [
        "POST /v1/messages of provider anthropic failed: the provider closed the connection"
    ]


def test_one_notice_of_a_kind_in_an_interval():
    clock = Clock()
    limiter = NoticeLimiter(60, clock)
    failures = [notice("failure", f"failure {n}") for n in range(4)]
    assert limiter.admit(failures[0]) == failures[0]
    for now, each in zip((5, 20), failures[1:3], strict=True):
        clock.now = now
        assert limiter.admit(each) is None
    # Another kind has a limit of its own.
    assert limiter.admit(notice("login", "a login")) is not None
    clock.now = 59
    assert limiter.due() == []
    clock.now = 60
    (summary,) = limiter.due()
    assert summary.text == "2 more failures in the last minute; the last: failure 2"
    assert summary.count == 2
    assert limiter.admit(failures[3]) is None
    assert limiter.due() == []
    clock.now = 120
    assert [made.text for made in limiter.due()] == ["failure 3"]


def test_the_interval_is_that_of_the_settings():
    thread = thread_of("failure", interval_seconds=0.2)
    flow = make_flow(status_code=500)
    for _ in range(MAX_FAILURES + 10):
        thread.finished(finished(flow))
    thread.look()
    assert SentNotice.objects.count() == 1

    def has_summary() -> bool:
        thread.look()
        return SentNotice.objects.count() == 2

    wait_until(has_summary, "a summary")
    # Flows beyond the queue's bound are counted too.
    assert [row.count for row in SentNotice.objects.order_by("pk")] == [1, MAX_FAILURES + 9]


def test_cache_breaks():
    thread = thread_of("cache_break")
    flow = make_flow(client_format="anthropic", session_id="s")
    thread.finished(finished(flow))
    thread.look()
    assert texts() == []
    FlowLink.objects.create(
        flow=flow,
        session="s",
        thread=flow.pk,
        relation="broken",
        kind="changed",
        path="system[0]",
        author="the client",
        lost_tokens=12_000,
        lost_usd=Decimal("0.05"),
    )
    thread.look()
    thread.look()
    (row,) = SentNotice.objects.all()
    assert row.text == (
        "the client changed system[0] of an earlier prompt, so that the cache is lost:"
        " 12.0 k tokens, $0.050"
    )
    assert row.facts["lost_tokens"] == 12_000


def test_a_rewind_is_no_cache_break():
    thread = thread_of("cache_break")
    flow = make_flow(client_format="anthropic", session_id="s")
    FlowLink.objects.create(
        flow=flow,
        session="s",
        thread=flow.pk,
        relation="rewound",
        kind="changed",
        path="messages[4]",
        author="the client",
    )
    thread.finished(finished(flow))
    thread.look()
    assert texts() == []


def test_cache_breaks_of_websockets():
    thread = thread_of("cache_break")
    record([socket("broke"), socket("went back", "Something else", breaks=False)])
    for flow in Flow.objects.all():
        assert flow.asked == "Why does it fail?"
        assert flow.said == "It is so."
        thread.finished(finished(flow))
    thread.look()
    thread.look()
    (row,) = SentNotice.objects.all()
    assert row.text.startswith("the client changed instructions[0] of an earlier prompt")
    assert row.facts["flow"] == "broke"


def spend(usd: str, **fields: Any) -> Flow:
    flow = make_flow(cost_usd=Decimal(usd), session_id="s1", **fields)
    day, _ = UsageDaily.objects.get_or_create(day=flow.started_at.date(), provider="anthropic")
    day.cost_usd = (day.cost_usd or 0) + Decimal(usd)
    day.save()
    return flow


def test_spend_of_a_day():
    thread = thread_of("spend", spend_day_usd=1.0)
    thread.finished(finished(spend("0.9")))
    thread.look()
    assert texts() == []
    thread.finished(finished(spend("0.2")))
    thread.look()
    assert texts() == ["$1.10 were spent today, more than $1.00"]
    # Once a day, also after a restart.
    again = thread_of("spend", spend_day_usd=1.0)
    for each in (thread, again):
        each.finished(finished(spend("0.2")))
        each.look()
    assert SentNotice.objects.count() == 1


def test_spend_of_a_session():
    thread = thread_of("spend", spend_session_usd=0.5)
    thread.finished(finished(spend("0.3")))
    thread.look()
    assert texts() == []
    thread.finished(finished(spend("0.3")))
    thread.look()
    thread.look()
    assert texts() == ["a session has cost $0.600, more than $0.500"]
    assert SentNotice.objects.get().facts["url"] == f"{CONSOLE}/flows/session/s1/"


def login(state: str = "good", *, is_bad: bool = False, **fields: Any) -> Any:
    provider = SimpleNamespace(name="claude", enabled=True)
    defaults = {"can_renew": True, "is_renewable": True, "expires_at": None, "fix": ""}
    return SimpleNamespace(
        **{"provider": provider, "state": state, "is_bad": is_bad, **defaults, **fields}
    )


def test_logins(monkeypatch):
    rows = [login()]
    monkeypatch.setattr(state_watches, "board_rows", lambda now: rows)
    thread = thread_of("login", login_hours=2)
    (watch,) = thread._watches
    assert isinstance(watch, LoginWatch)
    soon, later = (datetime.now(UTC) + timedelta(hours=hours) for hours in (1, 3))

    def look() -> list[str]:
        watch._due_at = 0.0
        return [made.text for made in watch.look()]

    assert look() == []
    rows[0] = login("renewing fails", is_bad=True, fix="ccproxy loginprovider claude")
    assert look() == ["the login of provider claude: renewing fails; ccproxy loginprovider claude"]
    assert look() == []
    rows[0] = login(expires_at=soon)
    assert look() == []
    rows[0] = login(expires_at=later, is_renewable=False)
    assert look() == []
    rows[0] = login(expires_at=soon, is_renewable=False)
    (text,) = look()
    assert "cannot be renewed" in text
    assert look() == []


def test_cooldowns_and_interruptions_are_said_when_they_begin():
    cooling = [{"provider": "main", "model": "", "until": time.time() + 30, "cause": "529"}]
    problems = ["the database does not take flows"]
    settings = ServerSettings.model_validate({"notices": {"kinds": ["cooldown", "recording"]}})
    thread = notice_thread(
        settings, redact=str, problem=lambda: problems[0], cooldowns=lambda: cooling
    )
    assert thread is not None
    thread.look()
    thread.look()
    assert texts() == [
        "main is skipped for 30 s after 529",
        "flows are not recorded: the database does not take flows",
    ]
    cooling.clear()
    thread.look()
    assert SentNotice.objects.count() == 2


class Kept:
    """A channel that keeps what it delivers."""

    name = "kept"

    def __init__(self) -> None:
        self.sent: list[Notice] = []

    def deliver(self, sent: Notice) -> Outcome:
        self.sent.append(sent)
        return Outcome(True, "delivered")


def test_a_notice_is_delivered_and_its_row_says_so():
    channel = Kept()
    flows = FlowNotices(CONSOLE, with_content=False)
    thread = NoticeThread(flows, (), NoticeLimiter(60), str)
    courier = Courier(channel, thread.note_outcome)
    thread.deliver_by([courier])
    courier.start()
    thread.finished(finished(make_flow(status_code=500)))
    thread.look()

    def is_delivered() -> bool:
        thread.look()
        return bool(SentNotice.objects.get().deliveries)

    wait_until(is_delivered, "its delivery")
    courier.close(1.0)
    assert SentNotice.objects.get().deliveries == {"kept": "delivered"}
    assert [sent.kind for sent in channel.sent] == ["failure"]


def test_the_newest_rows_are_kept():
    SentNotice.objects.bulk_create(
        SentNotice(made_at=datetime.now(UTC), kind="failure", text=str(n)) for n in range(KEPT)
    )
    keep_notice(notice("failure", "newest"))
    assert SentNotice.objects.count() == KEPT
    assert SentNotice.objects.first().text == "newest"  # type: ignore[union-attr]


def test_a_defect_costs_no_flow(caplog):
    thread = thread_of("failure")
    broken: Any = SimpleNamespace(row=None)
    thread.finished(broken)
    thread.finished(broken)
    assert caplog.text.count("could not be looked at") == 1
