"""Rows of the notices: the newest ones, with their deliveries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from ccproxy_site.models import SentNotice
from ccproxy_site.notices.notice import Notice

KEPT: Final = 500


def keep_notice(sent: Notice, redact: Callable[[str], str] = str) -> int:
    """Store a notice; return its row's id. Older ones than the newest `KEPT` are deleted."""
    row = SentNotice.objects.create(
        made_at=sent.at,
        kind=sent.kind,
        key=sent.key,
        text=redact(sent.text),
        count=sent.count,
        facts={**_redacted(sent.facts, redact), "url": sent.url},
    )
    oldest = SentNotice.objects.values_list("pk", flat=True)[KEPT : KEPT + 1]
    for pk in list(oldest):
        SentNotice.objects.filter(pk__lte=pk).delete()
    return int(row.pk)


def note_delivery(row: int, channel: str, text: str) -> None:
    """Store the outcome of one channel. For one thread alone."""
    found = SentNotice.objects.filter(pk=row).first()
    if found is not None:
        found.deliveries = {**found.deliveries, channel: text}
        found.save(update_fields=["deliveries"])


def was_noticed(kind: str, key: str, since: datetime | None = None) -> bool:
    """Return whether an event had its notice, also before a restart."""
    rows = SentNotice.objects.filter(kind=kind, key=key)
    if since is not None:
        rows = rows.filter(made_at__gte=since)
    return rows.exists()


def _redacted(facts: Mapping[str, Any], redact: Callable[[str], str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in facts.items():
        found[name] = redact(value) if isinstance(value, str) else value
    return found
