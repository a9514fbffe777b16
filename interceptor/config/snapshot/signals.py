"""Saving or deleting a row the proxy is configured by bumps the revision once the transaction is
committed.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save

from interceptor.models import ClientToken, HookSetting
from providers.models import ConfigRevision, Provider, TransformRule
from shapes.models import Shape, ShapePatch, ShapingProfile

CONFIG_MODELS = (
    Provider,
    TransformRule,
    HookSetting,
    ClientToken,
    Shape,
    ShapePatch,
    ShapingProfile,
)


def connect() -> None:
    """Watch every configuration model."""
    for model in CONFIG_MODELS:
        for signal in (post_save, post_delete):
            signal.connect(
                _changed,
                sender=model,
                dispatch_uid=f"ccproxy-revision-{model.__name__}-{id(signal)}",
            )


def _changed(*_: Any, **kwargs: Any) -> None:
    if not kwargs.get("raw"):
        transaction.on_commit(ConfigRevision.bump, using=kwargs.get("using"))
