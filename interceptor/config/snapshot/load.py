"""The one place where the proxy's configuration is read from the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction

from interceptor.config.snapshot.ask_settings import ask_conf
from interceptor.config.snapshot.build import ConfigRows, RuleRow, build_snapshot
from interceptor.config.snapshot.schema import ClientTokenConf, Snapshot
from interceptor.hooks.table import HookConf
from interceptor.models import ClientToken, HookSetting, PerplexityModel
from providers.credentials.handle import auth_of
from providers.fallbacks import DEFAULT_COOLDOWN_S, parse_fallbacks
from providers.models import ConfigRevision, ModelFact, Provider, TransformRule
from providers.prices.catalog import models_of
from providers.provider_conf import ProviderConf
from providers.retry_policy import retry_policy
from providers.wire.facts.table import OwnFacts
from providers.wire.perplexity.ask_conf import (
    DEFAULT_CATALOGUE,
    PERPLEXITY_TYPE,
    AskConf,
    CatalogueModel,
)
from shapes.active_rows import active_rows


def load_snapshot(*, command_timeout_s: float = 5.0, shaping_enabled: bool = True) -> Snapshot:
    """Read and validate the entire configuration.

    Raises:
        ConfigError: naming the row that cannot be used; the caller keeps what it has.
    """
    return build_snapshot(
        read_rows(), command_timeout_s=command_timeout_s, shaping_enabled=shaping_enabled
    )


def read_rows() -> ConfigRows:
    """Read the entire configuration, as plain values for `build_snapshot`.

    Raises:
        ConfigError: naming the provider whose credential source cannot be used.
    """
    # One transaction: all sections are of one moment, and the revision is theirs.
    with transaction.atomic():
        revision = ConfigRevision.current()
        found = {name: tuple(read()) for name, read in READERS.items()}
    return ConfigRows(revision=revision, **found)


def _providers() -> list[ProviderConf]:
    return [_provider(row) for row in Provider.objects.filter(enabled=True)]


def _rules() -> list[RuleRow]:
    rows = TransformRule.objects.filter(enabled=True).select_related("dest_provider")
    return [rule_row(row) for row in rows]


def _hooks() -> list[HookConf]:
    return [
        HookConf(row.stage, row.name, row.position, row.enabled, row.params)
        for row in HookSetting.objects.all()
    ]


def _client_tokens() -> list[ClientTokenConf]:
    rows = ClientToken.objects.filter(enabled=True)
    return [ClientTokenConf(row.name, row.token_sha256, frozenset(row.providers)) for row in rows]


def _model_facts() -> list[OwnFacts]:
    rows = ModelFact.objects.filter(enabled=True)
    return [OwnFacts(row.model, row.host, row.facts, row.source) for row in rows]


READERS: dict[str, Callable[[], list[Any]]] = {
    "providers": _providers,
    "rules": _rules,
    "hooks": _hooks,
    "client_tokens": _client_tokens,
    "shapes": active_rows,
    "model_facts": _model_facts,
}
"""Fields of `ConfigRows`, with the function that reads each."""


def _provider(row: Provider) -> ProviderConf:
    ask = ask_conf(settings.CCPROXY, _catalogue()) if row.type == PERPLEXITY_TYPE else None
    return ProviderConf(
        name=row.name,
        type=row.type,
        host=row.host,
        scheme=row.scheme,
        port=row.port,
        path=row.path,
        auth=auth_of(row),
        verify_tls=row.verify_tls,
        headers=tuple(row.headers.items()),
        fingerprint_profile=row.fingerprint_profile,
        model_names=_model_names(row, ask),
        ask=ask,
        extra_formats=tuple(row.native_formats),
        retry=retry_policy(row.retry),
        fallbacks=parse_fallbacks(row.fallbacks),
        cooldown_s=_cooldown_s(row.cooldown_seconds),
        server_tools=row.server_tools,
    )


def _catalogue() -> tuple[CatalogueModel, ...]:
    """Return the models of Perplexity accounts; an empty table is a new installation's."""
    rows = PerplexityModel.objects.values_list("name", "identifier", "mode", "tier")
    return tuple([CatalogueModel(*row) for row in rows]) or DEFAULT_CATALOGUE


def _model_names(row: Provider, ask: AskConf | None) -> tuple[str, ...]:
    if ask is not None:
        return tuple(row.model_names) or tuple([model.id for model in ask.models])
    return tuple(models_of(row.type, row.host, row.model_names))


def _cooldown_s(stored: int | None) -> float:
    return DEFAULT_COOLDOWN_S if stored is None else float(stored)


def rule_row(row: TransformRule) -> RuleRow:
    """Return a rule as plain values."""
    return RuleRow(
        id=row.pk,
        label=str(row),
        name=row.name,
        action=row.action,
        match_host=row.match_host,
        match_path=row.match_path,
        match_model=row.match_model,
        dest_provider=row.dest_provider.name if row.dest_provider else "",
        dest_host=row.dest_host,
        dest_path=row.dest_path,
        dest_model=row.dest_model,
        dest_vertex_project=row.dest_vertex_project,
        dest_vertex_location=row.dest_vertex_location,
        fallbacks=parse_fallbacks(row.fallbacks),
        retry=retry_policy(row.retry),
        server_tools=row.server_tools,
    )
