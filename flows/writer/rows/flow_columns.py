"""Columns of a flow's row that come from its record: which, how redacted, how long at most."""

from __future__ import annotations

from functools import cache
from operator import attrgetter
from typing import Any, Final

from flows.bytes.database_text import database_json, storable_text
from flows.models import Flow
from flows.record import FlowRecord

PLAIN: Final = (
    "id",
    "state",
    "conversation_id",  # twelve digits of a hash that the proxy made: it holds no secret
    "rule_id",
    "revision",
    "credential_injected",
    "status_code",
    "is_stream",
    "is_websocket",
    "connect_ms",
    "first_byte_ms",
    "first_event_ms",
    "duration_ms",
    "event_count",
)
"""Columns that are copied as they are."""
TEXTS: Final = (
    "source",
    "method",
    "host",
    "user_agent",
    "client_format",
    "provider_format",
    "action",
    "provider",
    "provider_type",
    "rule",
    "route",
    "requested_model",
    "sent_model",
    "session_id",
    "shape",
    "shape_problem",
    "run_label",
    "run_command",
    "ja3",
    "ja3_full",
    "ja4",
    "ja4_r",
    "error",
)
"""Columns whose secrets known by value are cut out."""
URLS: Final = ("path", "client_url", "forwarded_url")
"""Columns that also lose credential parameters."""
plain_of = attrgetter(*PLAIN)
texts_of = attrgetter(*TEXTS)
urls_of = attrgetter(*URLS)


def clip_texts(values: dict[str, Any]) -> None:
    """Cut the texts of a row to their columns, in place; PostgreSQL refuses longer ones."""
    for name, max_chars in _limits():
        text = values[name]
        if len(text) > max_chars:
            values[name] = text[: max_chars - 1] + "…"


@cache
def _limits() -> tuple[tuple[str, int], ...]:
    """Return the bounded columns among `TEXTS` with their lengths in characters."""
    limits: list[tuple[str, int]] = []
    for column in Flow._meta.concrete_fields:
        max_chars = getattr(column, "max_length", None)
        if column.attname in TEXTS and max_chars:
            limits.append((column.attname, max_chars))
    return tuple(limits)


def hooks_that_changed(record: FlowRecord) -> list[str]:
    """Return the names of the hooks that changed something on the wire, each once.

    Routing and mere notes ("meta:x") do not count.
    """
    names: dict[str, None] = {}
    for step in record.hooks:
        # The inner hooks of a shape work on a draft; the step of the shape counts.
        if not step.changed or step.stage in ("transform", "shape"):
            continue
        if all(part.startswith("meta:") for part in step.changed):
            continue
        names[storable_text(step.hook)] = None
    return list(names)


def hooks_that_ran(record: FlowRecord) -> str:
    """Return the names of the hooks that ran, each once, as the JSON text of their column."""
    names = dict.fromkeys(step.hook for step in record.hooks if step.outcome == "ran")
    return database_json(list(names)).decode()
