"""A notice: one sentence about an event, with facts for programs. No Django."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

from interceptor.config.files.sections.notices_section import NoticeKind

VERSION: Final = 1
"""Version of the JSON body; another number where a field changes its meaning."""
MAX_TEXT_CHARS: Final = 600
MAX_KEY_CHARS: Final = 250


@dataclass(frozen=True, slots=True)
class Notice:
    """An event that is worth a notice, or several of one kind.

    `key` names the event where it is worth one notice; `count` is how many events it stands for;
    `url` leads to the console's page.
    """

    kind: NoticeKind | Literal["test"]
    text: str
    at: datetime
    key: str = ""
    count: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""


def notice(kind: NoticeKind, text: str, *, key: str = "", url: str = "", **facts: Any) -> Notice:
    """Return a notice of this moment; facts that are unknown (None, "") are left out."""
    known = {name: value for name, value in facts.items() if value not in (None, "")}
    return Notice(
        kind,
        text[:MAX_TEXT_CHARS],
        datetime.now(UTC),
        key=key[:MAX_KEY_CHARS],
        facts=known,
        url=url,
    )


def json_body(sent: Notice) -> bytes:
    """Return the notice as programs get it; docs/notices.md describes the fields."""
    return orjson.dumps(
        {
            "version": VERSION,
            "kind": sent.kind,
            "at": sent.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "text": sent.text,
            "count": sent.count,
            "url": sent.url,
            "machine": socket.gethostname(),
            "facts": dict(sent.facts),
        }
    )


def slack_body(sent: Notice) -> bytes:
    """Return the notice as Slack and programs like it show it: one text, with a link.

    `&`, `<` and `>` are escaped, as Slack's message format asks: "a < b" → "a &lt; b".
    """
    text = sent.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = f"ccproxy: {text}"
    if sent.url:
        shown = f"{shown} <{sent.url}>"
    return orjson.dumps({"text": shown})
