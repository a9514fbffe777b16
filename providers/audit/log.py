"""Audit log of acts that touch credentials or records; each row is written before the act.

`audited` wraps an act, `record_audit` writes the row alone. They cover showing a secret, exporting
or clearing records, changing a credential, and sending a request on an account. A row names the
target and never holds a secret.
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
from providers.services import destination, moves_credential
from providers.web.client_address import client_address

ACTIONS = AuditEntry.ACTIONS


@dataclass(frozen=True, slots=True)
class Caller:
    """The acting account (the system's user in a shell), the way it came, and its address."""

    name: str
    source: str
    address: str = ""


def caller_of(request: HttpRequest) -> Caller:
    """Return the account behind a request of Django or DRF."""
    user = getattr(request, "user", None)
    name = user.get_username() if user is not None and user.is_authenticated else "nobody"
    source = "api" if request.path.startswith("/api/") else "console"
    return Caller(name, source, client_address(request))


def shell_caller() -> Caller:
    """Return the account that runs a command."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        name = "unknown"
    return Caller(name, "command", socket.gethostname())


def record_audit(
    action: str, target: str = "", *, by: Caller, detail: str = "", outcome: str = "begun"
) -> AuditEntry:
    """Write the row of an act that is about to happen. Call `settle_audit` with it afterwards.

    Args:
        action: one of `ACTIONS`.
        target: the object of the act, such as “provider anthropic” or “3 flows”.
        by: from `caller_of(request)` or `shell_caller()`.
        detail: more about the act, never a secret.
        outcome: begun, done, refused or failed.

    Raises:
        ValueError: there is no such action.
        DatabaseError: the row cannot be written, so the act must not be done.
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
    """Store the outcome of an act: done, refused or failed."""
    entry.outcome = outcome
    if detail:
        entry.detail = f"{entry.detail}; {detail}"[:1000] if entry.detail else detail[:1000]
    entry.save(update_fields=["outcome", "detail"])


@contextmanager
def audited(action: str, target: str = "", *, by: Caller, detail: str = "") -> Iterator[AuditEntry]:
    """Write a row before the block and settle it afterwards.

    An exception settles the row as failed, with its class as detail, and is raised again.
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
    """Write rows for the differences between two states of a provider's credential.

    `None` stands for a provider without a credential.
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
    elif before is not None and moves_credential(after, before):
        where = f"now goes to {destination(after)} instead of {destination(before)}"
        record_audit("credential-change", name, by=by, outcome="done", detail=where)


def _kind(provider: Any) -> str:
    return provider.auth_type if provider is not None else ""


def _source(provider: Any) -> tuple[Any, ...]:
    if provider is None or provider.auth_type == "none":
        return ("none",)
    return provider.auth_type, provider.auth_config, provider.auth_header


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:199] + "…"
