"""A finished flow as one line of a terminal. No Django."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flows.display.session_names import client_name
from flows.display.units import count, duration, status_words, usd
from flows.failure import has_failed, with_status
from providers.listing.plain_text import printable

if TYPE_CHECKING:
    from flows.models import Flow

_CLIENT_CHARS: Final = 20
_WHAT_CHARS: Final = 34
_ERROR_CHARS: Final = 160
_ID_CHARS: Final = 8
RED, PLAIN = "\x1b[31m", "\x1b[0m"


def flow_line(flow: Flow, *, is_coloured: bool) -> str:
    """Return time, status, id, client, model or path, tokens, cost, time and error.

    `18:31:02 200 1f0c77a2 claude-cli 2.1     opus-4-1 → gpt-5   12.3 k → 456  $0.042  0.8 s/4.1 s`
    """
    failed = has_failed(flow)
    # The reader's own time: the line stands beside a clock, not in a record.
    moment = (flow.finished_at or flow.started_at).astimezone()
    columns = [
        f"{moment:%H:%M:%S}",
        f"{status_words(flow.status_code, failed=failed):<3}",
        flow.id[:_ID_CHARS],
        f"{_cut(flow.run_label or client_name(flow.user_agent), _CLIENT_CHARS):<20}",
        f"{_cut(_what(flow), _WHAT_CHARS):<34}",
        f"{_tokens(flow):>15}",
        f"{usd(flow.cost_usd) if flow.cost_usd is not None else '':>8}",
        f"{_times(flow):>13}",
    ]
    line = " ".join(columns)
    if failed and (error := _error(flow)):
        line = f"{line}  {error}"
    line = line.rstrip()
    return f"{RED}{line}{PLAIN}" if failed and is_coloured else line


def failure_sentence(flow: Flow) -> str:
    """Return the failure for the log: what was asked, of whom, and what came of it."""
    asked = f"{flow.method} {_cut(flow.path, _ERROR_CHARS)}"
    provider = f" of provider {flow.provider}" if flow.provider else ""
    error = _error(flow)
    sentence = f"{asked}{provider} failed{with_status(flow.status_code)}"
    return f"{sentence}: {error}" if error else sentence


def _error(flow: Flow) -> str:
    """Return the proxy's error; without one, what the provider's response says."""
    return _cut(flow.error or flow.said, _ERROR_CHARS)


def _what(flow: Flow) -> str:
    """Return the model, with the one that was sent instead; the request without a model."""
    if not flow.requested_model:
        return f"{flow.method} {flow.path.partition('?')[0]}"
    if flow.sent_model and flow.sent_model != flow.requested_model:
        return f"{flow.requested_model} → {flow.sent_model}"
    return flow.requested_model


def _tokens(flow: Flow) -> str:
    if flow.input_tokens is None and flow.output_tokens is None:
        return ""
    return f"{count(flow.input_tokens)} → {count(flow.output_tokens)}"


def _times(flow: Flow) -> str:
    """Return the time to the first event of a stream, and to the end."""
    if flow.first_event_ms is None:
        return duration(flow.duration_ms)
    return f"{duration(flow.first_event_ms)}/{duration(flow.duration_ms)}"


def _cut(text: str, longest_chars: int) -> str:
    shown = printable(text).replace("\n", " ").replace("\t", " ")
    return shown if len(shown) <= longest_chars else f"{shown[: longest_chars - 1]}…"
