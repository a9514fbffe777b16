"""Names of the inner hooks that ship with the product, and the form of a profile's list of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from providers.base.nearest import capitalised, name_hint

PRODUCT_PREFIX: Final = "ccproxy.shaping."
"""How the product's files write a built-in inner hook."""

INNER_HOOKS: Final[dict[str, str]] = {
    "regenerate": "interceptor.shaping.regenerate.regenerate",
    "caching.strip": "interceptor.shaping.caching.strip",
    "caching.insert": "interceptor.shaping.caching.insert",
    "codex": "interceptor.shaping.codex.codex",
    "gemini": "interceptor.shaping.gemini_request.gemini",
}
"""Built-in inner hooks: name → dotted path."""

_DOTTED_PATH: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)


class BadInnerHooks(ValueError):
    """The list cannot be used; the message is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class InnerHookConf:
    """One entry of a profile's list, before its hook is looked up."""

    name: str
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def is_own(self) -> bool:
        """It is a function of the user's own, named by its dotted path."""
        return self.name not in INNER_HOOKS

    def as_stored(self) -> str | dict[str, Any]:
        """Return the entry as profiles store it: the bare name where there are no parameters."""
        return {"hook": self.name, "params": self.params} if self.params else self.name


def parse_inner_hooks(entries: object) -> tuple[InnerHookConf, ...]:
    """Return the entries of a profile's list: names, or mappings with `hook` and `params`.

    Raises:
        BadInnerHooks: the list or an entry has another form, or names no hook.
    """
    if not isinstance(entries, list | tuple):
        raise BadInnerHooks("Give a list of inner hooks.")
    return tuple(_entry(entry) for entry in entries)


def _entry(entry: object) -> InnerHookConf:
    given: object = {"hook": entry} if isinstance(entry, str) else entry
    if not isinstance(given, dict) or not isinstance(given.get("hook"), str):
        raise BadInnerHooks("An inner hook is a name, or a mapping with “hook” and “params”.")
    if unknown := set(given) - {"hook", "params"}:
        raise BadInnerHooks(f"An inner hook has no “{min(map(str, unknown))}”.")
    name = given["hook"].removeprefix(PRODUCT_PREFIX)
    params = given.get("params") or {}
    if not isinstance(params, dict):
        raise BadInnerHooks(f"The parameters of “{name}” must be a mapping.")
    if name not in INNER_HOOKS and not _DOTTED_PATH.fullmatch(name):
        hint = capitalised(name_hint(name, INNER_HOOKS))
        raise BadInnerHooks(f"There is no inner hook “{name[:100]}”. {hint}")
    return InnerHookConf(name, params)


def own_hooks(entries: object) -> frozenset[str]:
    """Return the dotted paths of a list: the user's own functions, which run code.

    A list that cannot be used has none.
    """
    try:
        parsed: Iterable[InnerHookConf] = parse_inner_hooks(entries)
    except BadInnerHooks:
        return frozenset()
    return frozenset(hook.name for hook in parsed if hook.is_own)
