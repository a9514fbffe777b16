"""Active shapes from rows: compiled, with the plan of their inner hooks."""

from __future__ import annotations

from interceptor.hooks.table import HookConf, load_hook, planned_hook
from interceptor.pipeline.hook import Stage
from interceptor.pipeline.plan import Plan, PlannedHook, make_plan
from interceptor.shaping.active_shape import ActiveShape
from providers.base.errors import ConfigError
from shapes.replay.compiled_shape import ShapeRow, compile_shape
from shapes.replay.inner_hook_names import INNER_HOOKS, InnerHookConf


def active_shape(row: ShapeRow) -> ActiveShape:
    """Return the shape of a row, ready to be taken by requests.

    Raises:
        ConfigError: naming the shape, and the patch, field or inner hook that cannot be used.
    """
    try:
        shape = compile_shape(row)
    except ValueError as exc:
        raise ConfigError(f"shape {row.label}: {exc}") from None
    try:
        return ActiveShape(shape, inner_plan(shape.inner_hooks))
    except ConfigError as exc:
        raise ConfigError(f"shape {row.label}: {exc}") from None


def inner_plan(hooks: tuple[InnerHookConf, ...]) -> Plan:
    """Return the plan of a profile's inner hooks; ties are broken by their order in the list."""
    return make_plan([_planned(index, hook) for index, hook in enumerate(hooks)])


def _planned(index: int, hook: InnerHookConf) -> PlannedHook:
    builtin = not hook.is_own
    spec = load_hook(hook.name, INNER_HOOKS.get(hook.name, hook.name), builtin=builtin)
    conf = HookConf(Stage.OUTBOUND, hook.name, index, params=hook.params)
    return planned_hook(spec, conf, builtin=builtin)
