"""Rows of the audit log about changes of the configuration, by any way and any account.

They are written before the change, in its transaction. The models' signals are the common way of
console, API, import and commands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from django.db import models
from django.db.models.signals import pre_delete, pre_save
from django.http import HttpRequest

from providers.audit.log import Caller, caller_of, record_audit, shell_caller
from providers.fields import EncryptedTextField

MAX_VALUE_CHARS: Final = 120
_HIDDEN: Final = frozenset({"headers"})
"""JSON fields of names and values, whose values may be credentials: names alone are written."""
_UNWRITTEN: Final = frozenset({"created_at", "changed_at", "last_used_at"})

_acting: ContextVar[HttpRequest | None] = ContextVar("acting", default=None)


@contextmanager
def acting(request: HttpRequest) -> Iterator[None]:
    """Name the request that changes within the block are made by.

    Its user is read at each change: a token of the API is read later than this begins.
    """
    token = _acting.set(request)
    try:
        yield
    finally:
        _acting.reset(token)


def watch(*changed: type[models.Model]) -> None:
    """Write a row for every change of these models."""
    for model in changed:
        name = f"ccproxy-config-change-{model.__name__}"
        pre_save.connect(_note_save, sender=model, dispatch_uid=f"{name}-save")
        pre_delete.connect(_note_delete, sender=model, dispatch_uid=f"{name}-delete")


def _note_save(sender: type[models.Model], instance: models.Model, **kwargs: Any) -> None:
    if kwargs.get("raw"):
        return
    before = None
    if instance.pk is not None:
        before = sender._default_manager.filter(pk=instance.pk).first()
    if before is None:
        _record(instance, "new")
        return
    changes = _changes(before, instance, kwargs.get("update_fields"))
    if changes:
        _record(before, "; ".join(changes))


def _note_delete(sender: type[models.Model], instance: models.Model, **_: Any) -> None:
    del sender
    _record(instance, "deleted")


def _record(instance: models.Model, detail: str) -> None:
    target = f"{instance._meta.verbose_name} {instance}"
    record_audit("config-change", target, by=_caller(), outcome="done", detail=detail)


def _caller() -> Caller:
    request = _acting.get()
    return shell_caller() if request is None else caller_of(request)


def _changes(before: models.Model, after: models.Model, only: Any) -> list[str]:
    """Return each changed field: ["host: a.example → b.example", "secret: changed"]."""
    found = []
    for field in before._meta.concrete_fields:
        if field.name in _UNWRITTEN or (only is not None and field.name not in only):
            continue
        old, new = (getattr(row, field.attname) for row in (before, after))
        if _plain(old) == _plain(new):
            continue
        if isinstance(field, EncryptedTextField):
            found.append(f"{field.name}: changed")
        else:
            found.append(f"{field.name}: {_shown(field.name, old)} → {_shown(field.name, new)}")
    return found


def _plain(value: Any) -> str:
    """Return a value as text, in which a form's numbers equal the database's."""
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, default=str)
    return str(value)


def _shown(name: str, value: Any) -> str:
    if name in _HIDDEN and isinstance(value, dict):
        return f"[{', '.join(value)}]"
    text = "–" if value in (None, "") else _plain(value)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[: MAX_VALUE_CHARS - 1]}…"
