"""Snapshots from plain rows. No Django: another process may have read the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from interceptor.config.snapshot.schema import ClientTokenConf, RuleConf, Snapshot
from interceptor.hooks import PERPLEXITY_HOOKS
from interceptor.hooks.table import HookConf, build_plan
from interceptor.pipeline.hook import Stage
from interceptor.shaping.inner_plan import active_shape
from providers.base.errors import ConfigError, RuleError
from providers.base.pattern import Pattern, PatternError, compile_pattern
from providers.fallbacks import Fallback
from providers.provider_conf import ProviderConf
from providers.retry_policy import RetryPolicy
from providers.wire.facts.table import FactRow, OwnFacts, built_in, own_row
from providers.wire.perplexity.ask_conf import PERPLEXITY_TYPE
from shapes.replay.compiled_shape import ShapeRow

SHAPE: Final = "shape"
"""Name of the hook that gives requests a shape."""


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A transform rule with its expressions as text. "" and ".*" match everything."""

    id: int
    label: str
    """The rule's name for people, in errors."""
    name: str
    action: str
    match_host: str = ""
    match_path: str = ""
    match_model: str = ""
    dest_provider: str = ""
    dest_host: str = ""
    dest_path: str = ""
    dest_model: str = ""
    dest_vertex_project: str = ""
    dest_vertex_location: str = ""
    fallbacks: tuple[Fallback, ...] = ()
    retry: RetryPolicy | None = None
    server_tools: str = ""


@dataclass(frozen=True, slots=True)
class ConfigRows:
    """The configuration of one revision as plain values, which may be pickled.

    Credentials are ciphertext; `providers.base.keyring` decrypts them.
    """

    revision: int = 0
    providers: tuple[ProviderConf, ...] = ()
    rules: tuple[RuleRow, ...] = ()
    hooks: tuple[HookConf, ...] = ()
    """Of all stages, also those that are switched off."""
    client_tokens: tuple[ClientTokenConf, ...] = ()
    shapes: tuple[ShapeRow, ...] = ()
    """Active versions whose profile is acknowledged."""
    model_facts: tuple[OwnFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of configuration: the name of its rows, and the fields of `Snapshot` they give."""

    name: str
    build: Callable[[ConfigRows], dict[str, Any]]


def build_snapshot(
    rows: ConfigRows, *, command_timeout_s: float = 5.0, shaping_enabled: bool = True
) -> Snapshot:
    """Return the snapshot of validated rows.

    Args:
        rows: the configuration.
        command_timeout_s: limit of a credential command.
        shaping_enabled: False leaves out every shape.

    Raises:
        ConfigError: naming the row that cannot be used; the caller keeps what it has.
    """
    if not shaping_enabled:
        rows = replace(rows, shapes=())
    fields: dict[str, Any] = {}
    for section in SECTIONS:
        fields |= section.build(rows)
    return Snapshot(revision=rows.revision, command_timeout_s=command_timeout_s, **fields)


def _providers(rows: ConfigRows) -> dict[str, Any]:
    by_name = {provider.name: provider for provider in rows.providers}
    return {"providers": MappingProxyType(by_name)}


def _rules(rows: ConfigRows) -> dict[str, Any]:
    return {"rules": tuple(rule_conf(row) for row in rows.rules)}


def _hooks(rows: ConfigRows) -> dict[str, Any]:
    hooks = rows.hooks
    if not rows.shapes:
        # Without a shape every trace would have a step that says so.
        hooks = tuple(replace(conf, enabled=conf.enabled and conf.name != SHAPE) for conf in hooks)
    if all(provider.type != PERPLEXITY_TYPE for provider in rows.providers):
        hooks = tuple(_off_for_others(conf) for conf in hooks)
    return {str(stage): build_plan(hooks, stage) for stage in Stage}


def _off_for_others(conf: HookConf) -> HookConf:
    """Switch off a hook of Perplexity's: there is no account that it could serve."""
    return replace(conf, enabled=conf.enabled and conf.name not in PERPLEXITY_HOOKS)


def _shapes(rows: ConfigRows) -> dict[str, Any]:
    by_type = {row.provider_type: active_shape(row) for row in rows.shapes}
    return {"shapes": MappingProxyType(by_type)}


def _client_tokens(rows: ConfigRows) -> dict[str, Any]:
    return {"client_tokens": rows.client_tokens}


def _model_facts(rows: ConfigRows) -> dict[str, Any]:
    own: list[FactRow] = []
    for row in rows.model_facts:
        try:
            own.append(own_row(row))
        except (ValueError, TypeError) as exc:
            raise ConfigError(f"model fact ‹{row.model}›: {exc}") from None
    return {"model_facts": built_in().with_rows(own)}


SECTIONS: tuple[Section, ...] = (
    Section("providers", _providers),
    Section("rules", _rules),
    Section("hooks", _hooks),
    Section("client_tokens", _client_tokens),
    Section("shapes", _shapes),
    Section("model_facts", _model_facts),
)
"""THE list of what a snapshot carries.

A new kind is a field of `ConfigRows` with its reader in `load.READERS`, and a field of `Snapshot`
with a line here.
"""


def rule_conf(row: RuleRow) -> RuleConf:
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
            raise RuleError(f"rule ‹{row.label}›, {field}: {exc}") from None

    return RuleConf(
        id=row.id,
        name=row.name,
        action=row.action,
        match_host=pattern("match_host"),
        match_path=pattern("match_path"),
        match_model=pattern("match_model"),
        dest_provider=row.dest_provider,
        dest_host=row.dest_host,
        dest_path=row.dest_path,
        dest_model=row.dest_model,
        dest_vertex_project=row.dest_vertex_project,
        dest_vertex_location=row.dest_vertex_location,
        fallbacks=row.fallbacks,
        retry=row.retry,
        server_tools=row.server_tools,
    )
