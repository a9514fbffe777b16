"""Schema of `hooks`, which live in the database."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from interceptor.config.files.groups import Group

PRODUCT_HOOKS = "ccproxy.hooks."
"""How the product's files spell a built-in hook."""


def _entry(value: Any) -> Any:
    return {"hook": value} if isinstance(value, str) else value


class HookEntry(Group):
    """One entry of a hook list. `hook` is a built-in's bare name or a dotted path."""

    hook: str = Field(min_length=1, max_length=200)
    params: dict[str, Any] = {}
    enabled: bool = True

    @field_validator("hook")
    @classmethod
    def _bare_name(cls, value: str) -> str:
        name = value.removeprefix(PRODUCT_HOOKS)
        if not name or any(c.isspace() or not c.isprintable() for c in name):
            raise ValueError("should be a built-in's name or the dotted path of a function")
        return name


Hook = Annotated[HookEntry, BeforeValidator(_entry)]


class HookLists(Group):
    """`hooks`: the stages in order."""

    inbound: tuple[Hook, ...] = ()
    outbound: tuple[Hook, ...] = ()
    seal: tuple[Hook, ...] = ()

    def by_stage(self) -> dict[str, tuple[Hook, ...]]:
        """Return the entries of every stage, in the order in which the stages run."""
        return {"inbound": self.inbound, "outbound": self.outbound, "seal": self.seal}


def hooks_by_stage(value: Any) -> Any:
    """Read a flat list as the inbound stage, and null as an empty stage."""
    if isinstance(value, list):
        return {"inbound": value}
    if isinstance(value, dict):
        return {key: [] if hooks is None else hooks for key, hooks in value.items()}
    return value
