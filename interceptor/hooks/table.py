"""Turn hook settings into a plan: names are looked up, parameters validated, the order computed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module, invalidate_caches
from typing import Any

from pydantic import ValidationError

from interceptor.hooks import HOOKS
from interceptor.pipeline.hook import HookSpec, Stage
from interceptor.pipeline.plan import Plan, PlannedHook, make_plan
from providers.base.errors import ConfigError


@dataclass(frozen=True, slots=True)
class HookConf:
    """One configured hook, before it is looked up."""

    stage: str
    name: str
    position: int = 0
    enabled: bool = True
    params: dict[str, Any] | None = None


def find_hook(name: str) -> HookSpec:
    """The hook of a built-in name, or of the dotted path of a user's own function.

    Raises:
        ConfigError: when there is none; the message says which part of the path is wrong.
    """
    path = HOOKS.get(name, name)
    module_name, _, attribute = path.rpartition(".")
    if not module_name:
        raise ConfigError(f"there is no hook “{name}”; built in are {', '.join(sorted(HOOKS))}")
    if name not in HOOKS:
        invalidate_caches()  # the file may be younger than this process
    try:
        module = import_module(module_name)
    except Exception as exc:  # a user's file may fail in any way while it is imported
        raise ConfigError(
            f"hook “{name}”: cannot import {module_name}: {type(exc).__name__}: {exc}"
        ) from exc
    found = getattr(module, attribute, None)
    if not isinstance(found, HookSpec):
        raise ConfigError(
            f"hook “{name}”: {module_name} has no function “{attribute}” declared with @hook"
        )
    return found


def build_plan(confs: Iterable[HookConf], stage: Stage) -> Plan:
    """The plan of one stage.

    Raises:
        ConfigError: for an unknown hook, or parameters its model refuses.
    """
    planned = []
    for conf in confs:
        if conf.stage != stage:
            continue
        if not conf.enabled and conf.name not in HOOKS:
            # a switched-off hook may be one this version does not have, or a file that is gone
            continue
        planned.append(_plan_one(conf))
    return make_plan(planned)


def _plan_one(conf: HookConf) -> PlannedHook:
    spec = find_hook(conf.name)
    params = None
    if spec.params is not None:
        try:
            params = spec.params.model_validate(conf.params or {})
        except ValidationError as exc:
            first = exc.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ConfigError(f"hook “{conf.name}”: parameter {where}: {first['msg']}") from None
    elif conf.params:
        raise ConfigError(f"hook “{conf.name}” takes no parameters")
    return PlannedHook(
        spec, conf.position, params, conf.name, conf.enabled, builtin=conf.name in HOOKS
    )
