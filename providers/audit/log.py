"""The audit log: who did what that matters, written before it happens.

Everything that shows a secret, takes the record out, changes a credential or sends on somebody's
account goes through `audited` (around the act) or `record_audit` (before it). A row names things,
it never holds a secret.
"""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest

from providers.models import AuditEntry

ACTIONS = AuditEntry.ACTIONS


@dataclass(frozen=True, slots=True)
class Caller:
    """Who acts: account (or the system's user in a shell), by which way, and from which address."""

    name: str
    source: str
    address: str = ""


def caller_of(request: HttpRequest) -> Caller:
    """The one who sent a request to the console or the API. Works for DRF's requests too."""
    user = getattr(request, "user", None)
    name = user.get_username() if user is not None and user.is_authenticated else "nobody"
    source = "api" if request.path.startswith("/api/") else "console"
    return Caller(name, source, str(request.META.get("REMOTE_ADDR") or ""))


def shell_caller() -> Caller:
    """The one who runs a command."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        name = "unknown"
    return Caller(name, "command", socket.gethostname())


def record_audit(
    action: str, target: str = "", *, by: Caller, detail: str = "", outcome: str = "begun"
) -> AuditEntry:
    """Write down what is about to happen; call `settle_audit` with the row when it is known how it
    went.

    Args:
        action: one of `ACTIONS`.
        target: what it is done to, such as “provider anthropic” or “3 flows”.
        by: from `caller_of(request)` or `shell_caller()`.
        detail: more about it, never a secret.
        outcome: begun, done, refused or failed.

    Raises:
        ValueError: there is no such action.
        DatabaseError: it cannot be written, and so must not be done.
    """
    if action not in ACTIONS:
        raise ValueError(f"there is no action “{action}” in the audit log")
    return AuditEntry.objects.create(
        action=action,
        target=_short(target),
        actor=_short(by.name),
        source=by.source,
        address=_short(by.address),
        detail=detail[:1000],
        outcome=outcome,
    )


def settle_audit(entry: AuditEntry, outcome: str, detail: str = "") -> None:
    """Say how it went: done, refused or failed."""
    entry.outcome = outcome
    if detail:
        entry.detail = f"{entry.detail}; {detail}"[:1000] if entry.detail else detail[:1000]
    entry.save(update_fields=["outcome", "detail"])


@contextmanager
def audited(action: str, target: str = "", *, by: Caller, detail: str = "") -> Iterator[AuditEntry]:
    """A row before the block, settled after it: done, or failed with the kind of exception, which
    is passed on.
    """
    entry = record_audit(action, target, by=by, detail=detail)
    try:
        yield entry
    except BaseException as exc:
        if not isinstance(exc, DatabaseError):  # a broken transaction takes no more rows
            settle_audit(entry, "failed", type(exc).__name__)
        raise
    if entry.outcome == "begun":
        settle_audit(entry, "done")


def audit_credential(before: Any, after: Any, *, by: Caller) -> None:
    """Rows for what differs between two states of a provider's credential; None stands for “there
    was none”.
    """
    name = f"provider {after.name}"
    if _source(before) != _source(after):
        action = (
            "command-change" if "command" in (_kind(before), _kind(after)) else "credential-change"
        )
        record_audit(
            action, name, by=by, outcome="done", detail=f"{_kind(before) or 'new'} → {_kind(after)}"
        )
    elif str(getattr(before, "secret", "") or "") != str(after.secret or ""):
        what = "stored secret replaced" if after.secret else "stored secret forgotten"
        record_audit("credential-change", name, by=by, outcome="done", detail=what)


def _kind(provider: Any) -> str:
    return provider.auth_type if provider is not None else ""


def _source(provider: Any) -> tuple[Any, ...]:
    if provider is None or provider.auth_type == "none":
        return ("none",)
    return provider.auth_type, provider.auth_config, provider.auth_header


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:199] + "…"
