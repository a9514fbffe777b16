"""Tools about the configuration: providers, models, shapes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from django.utils import timezone
from pydantic import Field

from ccproxy_site.mcp.bounded_json import bounded_list
from ccproxy_site.mcp.progress import report
from interceptor.config.snapshot.load import load_snapshot
from interceptor.request_path.upstream_models import DEFAULT_TIMEOUT_S, UpstreamModels
from interceptor.transform.model_lists import ModelNames, configured_models
from providers.auth.registry import SECRETS
from providers.auth.resolve import CredentialResolver
from providers.credentials.credential_states import BoardRow, board_rows
from providers.credentials.shared_state import DatabaseLogins
from providers.credentials.stored_logins import refresh_limits
from providers.fields import keyring
from providers.provider_conf import ProviderConf
from shapes.models import Shape
from shapes.versions.shape_lines import summary


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One provider and the state of its credential, never the credential."""

    name: str
    type: str
    enabled: bool
    credential_source: str
    credential_state: str
    credential_is_bad: bool
    expires_at: str | None
    refusals: int
    """Responses with status 401 lately."""
    problem: str


@dataclass(frozen=True, slots=True)
class ProviderList:
    """All providers."""

    providers: list[ProviderRow]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model and the provider that serves it."""

    model: str
    provider: str


@dataclass(frozen=True, slots=True)
class ModelList:
    """The catalogue."""

    models: list[Any]
    note: str


@dataclass(frozen=True, slots=True)
class ShapeList:
    """Stored versions of shapes, without their content."""

    shapes: list[Any]
    note: str


def list_providers() -> ProviderList:
    """List providers with the state of their credentials. No secret is shown."""
    return ProviderList([_provider(row) for row in board_rows(timezone.now())])


def _provider(row: BoardRow) -> ProviderRow:
    return ProviderRow(
        name=row.provider.name,
        type=row.provider.type,
        enabled=row.provider.enabled,
        credential_source=row.source,
        credential_state=row.state_in_words,
        credential_is_bad=row.is_bad,
        expires_at=row.expires_at.isoformat() if row.expires_at else None,
        refusals=row.refusals,
        problem=row.error,
    )


def list_models(
    refresh: Annotated[bool, Field(description="Ask the providers themselves.")] = False,
) -> ModelList:
    """List the models of all providers."""
    providers = list(load_snapshot().providers.values())
    names = _asked(providers) if refresh else configured_models(providers)
    rows = [ModelRow(model, provider) for provider, model in names]
    return ModelList(*bounded_list(rows, len(rows)))


def _asked(providers: list[ProviderConf]) -> ModelNames:
    report(0, len(providers), "providers are asked for their models")
    resolver = CredentialResolver(
        open_keyring=keyring, secrets=SECRETS, shared=DatabaseLogins(), limits=refresh_limits()
    )
    lists = UpstreamModels(resolver, timeout_s=DEFAULT_TIMEOUT_S)
    return asyncio.run(lists.of(providers, refresh=True))


def list_shapes() -> ShapeList:
    """List the stored versions of shapes: provider type, version, client, whether it is active."""
    found = [summary(shape) for shape in Shape.objects.order_by("provider_type", "-version")]
    return ShapeList(*bounded_list(found, len(found)))
