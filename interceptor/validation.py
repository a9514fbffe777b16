"""Validation of hook settings and client tokens before they are saved, in forms and over REST."""

from __future__ import annotations

import re
from typing import Any, Protocol

from django.core.exceptions import ValidationError

from interceptor.hooks import HOOKS
from interceptor.hooks.table import HookConf, build_plan
from interceptor.pipeline.hook import Stage
from providers.base.errors import ConfigError
from providers.base.json_value import check_json
from providers.base.nearest import nearest

_DOTTED_PATH = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$", re.ASCII)


class HookRow(Protocol):
    """Fields of a hook setting; this module stands below the model that calls it."""

    stage: Any
    name: Any
    enabled: Any
    params: Any


def validate_hook_setting(setting: HookRow) -> None:
    """Raise ValidationError, by field, for a hook the proxy could not run.

    A built-in hook's parameters are checked against its own model. A user's own function is not
    imported: that would run its module.
    """
    if not isinstance(setting.params, dict):
        raise ValidationError({"params": "Give a mapping of parameter names to values."})
    if problem := check_json(setting.params):
        raise ValidationError({"params": problem})
    if setting.name and setting.name not in HOOKS:
        if not _DOTTED_PATH.match(setting.name):
            raise ValidationError({"name": _unknown_hook(setting.name)})
    elif setting.name and setting.stage in set(Stage):
        try:
            build_plan(
                [HookConf(setting.stage, setting.name, params=setting.params)], Stage(setting.stage)
            )
        except ConfigError as exc:
            raise ValidationError({"params": str(exc)}) from None


def _unknown_hook(name: str) -> str:
    known = ", ".join(sorted(HOOKS))
    sentence = f"Give a built-in name ({known}) or a dotted path, package.module.function."
    meant = nearest(name, HOOKS)
    return f"{sentence} Did you mean {meant}?" if meant else sentence


LAST_PROVIDER_REFUSED = (
    "Without any provider the token could use all of them. Disable it to take away its last one;"
    " to let it use all, add a new token."
)


class TokenRow(Protocol):
    """Fields of a client token."""

    providers: Any


def validate_client_token(token: TokenRow, before: TokenRow | None = None) -> None:
    """Raise ValidationError for a scope that is no list of providers' names, or that widens.

    A provider may come later. An empty list means all providers: the one who takes away the last
    provider that a token may use, as saved in `before`, wants the contrary.
    """
    if not isinstance(token.providers, list) or not all(
        isinstance(name, str) and name for name in token.providers
    ):
        raise ValidationError(
            {"providers": "Give a list of providers' names, or an empty list for all."}
        )
    if problem := check_json(token.providers):
        raise ValidationError({"providers": problem})
    if before is not None and before.providers and not token.providers:
        raise ValidationError({"providers": LAST_PROVIDER_REFUSED})


def sets_new_hook_path(setting: HookRow, before: HookRow | None) -> bool:
    """Return True when saving `setting` over `before` would bring in a function of the user's."""
    if setting.name in HOOKS:
        return False
    return before is None or bool(before.name != setting.name)
