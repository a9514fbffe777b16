"""Plans from hook settings: looks up names, validates parameters, computes the order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module, invalidate_caches
from typing import Any

from pydantic import BaseModel, ValidationError

from interceptor.hooks import HOOKS
from interceptor.pipeline.hook import HookSpec, Stage
from interceptor.pipeline.plan import Plan, PlannedHook, make_plan
from providers.base.errors import ConfigError
from providers.base.nearest import name_hint, nearest, no_such


@dataclass(frozen=True, slots=True)
class HookConf:
    """One configured hook, before it is looked up."""

    stage: str
    name: str
    position: int = 0
    enabled: bool = True
    params: dict[str, Any] | None = None


def find_hook(name: str) -> HookSpec:
    """Return the hook of a built-in name, or of the dotted path of a user's own function.

    Raises:
        ConfigError: there is no such hook; the message names the wrong part of the path.
    """
    path = HOOKS.get(name, name)
    if "." not in path:
        match = nearest(name, HOOKS)
        hint = f"did you mean {match}? " if match else ""
        raise ConfigError(
            f"there is no hook “{name}”; {hint}built in are {', '.join(sorted(HOOKS))}"
        )
    return load_hook(name, path, builtin=name in HOOKS)


def load_hook(name: str, path: str, *, builtin: bool) -> HookSpec:
    """Return the hook at a dotted path.

    Args:
        name: as people call it.
        path: module and function.
        builtin: it ships with the product.

    Raises:
        ConfigError: there is no such hook; the message names the wrong part of the path.
    """
    module_name, _, attribute = path.rpartition(".")
    if not builtin:
        # The file may be younger than this process.
        invalidate_caches()
        # Before a request needs it.
        import_module("interceptor.pipeline.json_paths")
    try:
        module = import_module(module_name)
    except Exception as exc:  # a user's file may fail in any way while it is imported
        raise ConfigError(
            f"hook “{name}”: cannot import {module_name}: {type(exc).__name__}: {exc}"
        ) from exc
    found = getattr(module, attribute, None)
    if not isinstance(found, HookSpec):
        declared = [key for key, value in vars(module).items() if isinstance(value, HookSpec)]
        raise ConfigError(
            f"hook “{name}”: {module_name} has no function “{attribute}” declared with @hook;"
            f" {name_hint(attribute, declared)}"
        )
    return found


def _wrong_parameter(params: type[BaseModel], failure: ValidationError) -> str:
    """Return the first problem of a hook's parameters; an unknown name is often the cause."""
    problems = failure.errors()
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    first = (unknown or problems)[0]
    where = ".".join(map(str, first["loc"]))
    if unknown and len(first["loc"]) == 1:
        return no_such("parameter", where, params.model_fields)
    return f"parameter {where}: {first['msg']}"


def describe_hook(name: str) -> str:
    """Return one line about a hook for people.

    A user's own function is not looked up: that would import its module.
    """
    if name not in HOOKS:
        return "your own function"
    return find_hook(name).doc.replace("`", "")


def build_plan(confs: Iterable[HookConf], stage: Stage) -> Plan:
    """Build the plan of one stage.

    Raises:
        ConfigError: a hook is unknown, or its model refuses its parameters.
    """
    planned = []
    for conf in confs:
        if conf.stage != stage:
            continue
        if not conf.enabled and conf.name not in HOOKS:
            # The file of a function that is switched off may be gone.
            continue
        planned.append(_plan_one(conf))
    return make_plan(planned)


def _plan_one(conf: HookConf) -> PlannedHook:
    return planned_hook(find_hook(conf.name), conf, builtin=conf.name in HOOKS)


def planned_hook(spec: HookSpec, conf: HookConf, *, builtin: bool) -> PlannedHook:
    """Return a hook with its parameters checked.

    Raises:
        ConfigError: its model refuses its parameters.
    """
    params = None
    if spec.params is not None:
        try:
            params = spec.params.model_validate(conf.params or {})
        except ValidationError as exc:
            raise ConfigError(f"hook “{conf.name}”: {_wrong_parameter(spec.params, exc)}") from None
    elif conf.params:
        raise ConfigError(f"hook “{conf.name}” takes no parameters")
    return PlannedHook(spec, conf.position, params, conf.name, conf.enabled, builtin=builtin)
