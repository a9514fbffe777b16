"""A finished flow as one line of a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from flows.export.flow_line import PLAIN, RED, failure_sentence, flow_line
from flows.models import Flow


def flow(**values: Any) -> Flow:
    fields = {
        "id": "1f0c77a2-0000-4000-8000-000000000000",
        "state": "done",
        "started_at": datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
        "method": "POST",
        "path": "/v1/messages?beta=true",
        "status_code": 200,
        "user_agent": "claude-cli/2.1 (external, cli)",
    }
    return Flow(**fields | values)


def test_it_works():
    done = flow(
        requested_model="opus",
        sent_model="gpt-5",
        input_tokens=12_300,
        output_tokens=456,
        cost_usd=Decimal("0.042"),
        first_event_ms=812.0,
        duration_ms=4100.0,
    )
    words = flow_line(done, is_coloured=True).split()
    assert words[1:4] == ["200", "1f0c77a2", "claude-cli"]
    rest = " ".join(words[5:])
    assert rest == "opus → gpt-5 12.3 k → 456 $0.042 812 ms/4.1 s"


def test_without_a_model_it_names_the_request():
    line = flow_line(flow(run_label="codex"), is_coloured=False)
    assert "codex" in line
    assert "POST /v1/messages " in line
    assert "claude-cli" not in line


def test_a_failure_is_red_and_says_why():
    failed = flow(status_code=529, state="error", error="overloaded\n\x1b[2Jtwice", provider="a")
    line = flow_line(failed, is_coloured=True)
    assert line.startswith(RED)
    assert line.endswith(f"overloaded \\x1b[2Jtwice{PLAIN}")
    assert "\x1b" not in flow_line(failed, is_coloured=False)
    sentence = failure_sentence(failed)
    assert sentence.startswith("POST /v1/messages?beta=true of provider a failed with 529: over")


def test_without_an_error_of_the_proxy_the_response_says_why():
    failed = flow(status_code=529, said="Overloaded, try later", provider="a")
    assert flow_line(failed, is_coloured=False).endswith("  Overloaded, try later")
    assert failure_sentence(failed).endswith("failed with 529: Overloaded, try later")


def test_a_cut_stream_did_not_fail_with_its_status() -> None:
    cut = Flow(method="POST", path="/v1/messages", state="error", status_code=200, error="cut")
    assert failure_sentence(cut) == "POST /v1/messages failed: cut"
