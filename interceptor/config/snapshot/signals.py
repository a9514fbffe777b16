"""Saving or deleting a row of the configuration bumps the revision at its commit.

The audit log gets a row of it too.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save

from interceptor.models import ClientToken, HookSetting, PerplexityModel
from providers.audit.config_changes import watch
from providers.models import ConfigRevision, ModelFact, PriceOverride, Provider, TransformRule
from shapes.models import Shape, ShapePatch, ShapingProfile

CONFIG_MODELS = (
    Provider,
    TransformRule,
    ModelFact,
    HookSetting,
    ClientToken,
    PerplexityModel,
    Shape,
    ShapePatch,
    ShapingProfile,
)


AUDITED_MODELS = (
    Provider,
    TransformRule,
    HookSetting,
    PriceOverride,
    ModelFact,
    PerplexityModel,
    ShapingProfile,
    ShapePatch,
)
"""Client tokens and shapes have rows of their own, which say more."""


def connect() -> None:
    """Watch every configuration model."""
    watch(*AUDITED_MODELS)
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
