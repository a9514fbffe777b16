"""The one place where the proxy's configuration is read from the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from django.db import transaction

from interceptor.config.snapshot.schema import ClientTokenConf, RuleConf, Snapshot
from interceptor.hooks.table import HookConf, build_plan
from interceptor.models import ClientToken, HookSetting
from interceptor.pipeline.hook import Stage
from providers.base.errors import RuleError
from providers.base.pattern import Pattern, PatternError, compile_pattern
from providers.credentials.handle import auth_of
from providers.models import ConfigRevision, Provider, TransformRule
from providers.prices.catalog import models_of
from providers.provider_conf import ProviderConf


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of configuration: its reader gives fields of `Snapshot`."""

    name: str
    read: Callable[[], dict[str, Any]]


def load_snapshot(*, command_timeout_s: float = 5.0) -> Snapshot:
    """Read and validate the entire configuration.

    Raises:
        ConfigError: naming the row that cannot be used; the caller keeps what it has.
    """
    fields: dict[str, Any] = {}
    # One transaction: all sections are of one moment, and the revision is theirs.
    with transaction.atomic():
        revision = ConfigRevision.current()
        for section in SECTIONS:
            fields |= section.read()
    return Snapshot(revision=revision, command_timeout_s=command_timeout_s, **fields)


def _providers() -> dict[str, Any]:
    found = [_provider(row) for row in Provider.objects.filter(enabled=True)]
    return {"providers": MappingProxyType({provider.name: provider for provider in found})}


def _rules() -> dict[str, Any]:
    rows = TransformRule.objects.filter(enabled=True).select_related("dest_provider")
    return {"rules": tuple(rule_conf(row) for row in rows)}


def _hooks() -> dict[str, Any]:
    confs = [
        HookConf(row.stage, row.name, row.position, row.enabled, row.params)
        for row in HookSetting.objects.all()
    ]
    return {str(stage): build_plan(confs, stage) for stage in Stage}


def _client_tokens() -> dict[str, Any]:
    rows = ClientToken.objects.filter(enabled=True)
    tokens = (ClientTokenConf(row.name, row.token_sha256, frozenset(row.providers)) for row in rows)
    return {"client_tokens": tuple(tokens)}


SECTIONS: tuple[Section, ...] = (
    Section("providers", _providers),
    Section("rules", _rules),
    Section("hooks", _hooks),
    Section("client tokens", _client_tokens),
)
"""THE list of what a snapshot carries; a new kind is a field of `Snapshot` and a line here."""


def _provider(row: Provider) -> ProviderConf:
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
        model_names=tuple(models_of(row.type, row.host, row.model_names)),
        extra_formats=tuple(row.native_formats),
    )


def rule_conf(row: TransformRule) -> RuleConf:
    """Return a rule with its expressions compiled.

    Raises:
        RuleError: an expression is wrong; the message names the rule and the field.
    """

    def pattern(field: str) -> Pattern | None:
        expression = getattr(row, field)
        if expression in ("", ".*"):
            return None
        try:
            # Vendors and gateways write a model's name in more than one case.
            return compile_pattern(expression, any_case=field == "match_model")
        except PatternError as exc:
            raise RuleError(f"rule ‹{row}›, {field}: {exc}") from None

    return RuleConf(
        id=row.pk,
        name=row.name,
        action=row.action,
        match_host=pattern("match_host"),
        match_path=pattern("match_path"),
        match_model=pattern("match_model"),
        dest_provider=row.dest_provider.name if row.dest_provider else "",
        dest_host=row.dest_host,
        dest_path=row.dest_path,
        dest_model=row.dest_model,
        dest_vertex_project=row.dest_vertex_project,
        dest_vertex_location=row.dest_vertex_location,
    )
