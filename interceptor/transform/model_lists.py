"""Lists of models: of the enabled providers, in the client's own format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import orjson

from providers.base.names import ANTHROPIC_MESSAGES, WireFormatName
from providers.provider_conf import ProviderConf

# The configuration knows no creation dates, and both formats demand one.
_EPOCH = "1970-01-01T00:00:00Z"

ModelNames = Sequence[tuple[str, str]]
"""(provider, model) in the order of the list, each pair once."""


class ModelLists(Protocol):
    """Knows the models of providers."""

    async def of(self, providers: Iterable[ProviderConf], *, refresh: bool) -> ModelNames:
        """Return the models of the providers; `refresh` asks the providers themselves."""

    async def with_credentials(self, providers: Iterable[ProviderConf]) -> list[ProviderConf]:
        """Return the providers that a request could reach."""


class ConfiguredModels:
    """The model names of the configuration alone; sends no request."""

    async def of(self, providers: Iterable[ProviderConf], *, refresh: bool) -> ModelNames:
        """Return the configured names."""
        del refresh
        return configured_models(providers)

    async def with_credentials(self, providers: Iterable[ProviderConf]) -> list[ProviderConf]:
        """Return all of them: a dry run reads no credential."""
        return list(providers)


def configured_models(providers: Iterable[ProviderConf]) -> ModelNames:
    """Return the configured names of the providers, each (provider, model) once.

    A model that two providers serve stands there twice: they are two ways to reach it.
    """
    pairs = [(conf.name, model) for conf in providers for model in conf.model_names]
    return tuple(dict.fromkeys(pairs))


def models_response(names: ModelNames, family: WireFormatName | None) -> bytes:
    """Return the list as JSON: Anthropic's shape for its clients, OpenAI's for all others."""
    if family == ANTHROPIC_MESSAGES:
        return orjson.dumps(_anthropic_list(names))
    models = [
        {"id": model, "object": "model", "created": 0, "owned_by": provider}
        for provider, model in names
    ]
    return orjson.dumps({"object": "list", "data": models})


def _anthropic_list(names: ModelNames) -> dict[str, Any]:
    """Return Anthropic's page of models; it has no owner, so an id stands in it once."""
    ids = list(dict.fromkeys(model for _, model in names))
    data = [
        {"type": "model", "id": name, "display_name": name, "created_at": _EPOCH} for name in ids
    ]
    return {
        "data": data,
        "has_more": False,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
    }
