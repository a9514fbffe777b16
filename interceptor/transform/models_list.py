"""GET /v1/models: the models of the enabled providers, in the caller's format."""

from __future__ import annotations

from typing import Any

import orjson

from interceptor.config.snapshot.schema import Snapshot
from providers.base.names import ANTHROPIC_MESSAGES, WireFormatName
from providers.provider_conf import ProviderConf

_EPOCH = "1970-01-01T00:00:00Z"  # the catalogue knows no creation dates; the formats demand one


def models_response(
    snapshot: Snapshot, provider: str | None, family: WireFormatName | None
) -> bytes:
    """The list as JSON.

    Args:
        snapshot: the configuration.
        provider: only this provider's models; None for all.
        family: Anthropic callers get Anthropic's shape, all others OpenAI's.
    """
    chosen = [p for p in snapshot.providers.values() if provider in (None, p.name)]
    models = {model: conf for conf in chosen for model in conf.model_names}
    if family == ANTHROPIC_MESSAGES:
        return orjson.dumps(_anthropic(models))
    return orjson.dumps(
        {
            "object": "list",
            "data": [
                {"id": m, "object": "model", "created": 0, "owned_by": p.name}
                for m, p in models.items()
            ],
        }
    )


def _anthropic(models: dict[str, ProviderConf]) -> dict[str, Any]:
    names = list(models)
    return {
        "data": [
            {"type": "model", "id": name, "display_name": name, "created_at": _EPOCH}
            for name in names
        ],
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }
