"""The one place where the proxy's configuration is read from the database."""

from __future__ import annotations

from types import MappingProxyType

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


def load_snapshot(*, command_timeout_s: float = 5.0) -> Snapshot:
    """Read and validate the entire configuration.

    Raises:
        ConfigError: naming the row that cannot be used; the caller keeps what it has.
    """
    with transaction.atomic():
        revision = ConfigRevision.current()
        providers = [_provider(row) for row in Provider.objects.filter(enabled=True)]
        rules = [
            rule_conf(row)
            for row in TransformRule.objects.filter(enabled=True).select_related("dest_provider")
        ]
        hooks = [
            HookConf(row.stage, row.name, row.position, row.enabled, row.params)
            for row in HookSetting.objects.all()
        ]
        tokens = tuple(
            ClientTokenConf(row.name, row.token_sha256, frozenset(row.providers))
            for row in ClientToken.objects.filter(enabled=True)
        )
    return Snapshot(
        revision=revision,
        providers=MappingProxyType({provider.name: provider for provider in providers}),
        rules=tuple(rules),
        inbound=build_plan(hooks, Stage.INBOUND),
        outbound=build_plan(hooks, Stage.OUTBOUND),
        seal=build_plan(hooks, Stage.SEAL),
        client_tokens=tokens,
        command_timeout_s=command_timeout_s,
    )


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
            return compile_pattern(expression)
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
