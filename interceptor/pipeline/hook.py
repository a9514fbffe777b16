"""Declaration of hooks. No Django, no mitmproxy.

A hook is a function with a declaration::

    @hook(stage=Stage.OUTBOUND, writes={"header:anthropic-beta"})
    def verbose_mode(ex: Exchange) -> None: ...

It may have a guard (`guard=`, a predicate on the exchange), parameters (`params=`, a pydantic
model, passed as second argument), and an async `prepare=`, which does I/O before the hook runs and
whose result is `ex.prepared`. A `prepare` with a second argument gets the parameters too.

Names in `reads` and `writes`: "header" or "header:NAME", "body" or "body:ROOT", "path", "meta:KEY".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from inspect import iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any

from providers.base.errors import RefuseRequest

if TYPE_CHECKING:
    from pydantic import BaseModel

    from interceptor.pipeline.exchange import Exchange


__all__ = ["Apply", "Guard", "HookSpec", "Prepare", "RefuseRequest", "Stage", "hook"]


class Stage(StrEnum):
    """When a hook runs: before the request is routed, after it, or on the final request.

    A seal hook sees the bytes that leave, with the credential among the headers. It may sign them;
    it cannot change the address.
    """

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    SEAL = "seal"


Guard = Callable[["Exchange"], bool]
Prepare = Callable[..., Awaitable[Any]]
Apply = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class HookSpec:
    """A hook's declaration."""

    name: str
    stage: Stage
    apply: Apply
    reads: frozenset[str]
    writes: frozenset[str]
    guard: Guard | None = None
    prepare: Prepare | None = None
    params: type[BaseModel] | None = None
    security: bool = False
    """A client's x-ccproxy-hooks header cannot skip a security hook."""
    timeout_s: float = 10.0
    """Limit of `prepare`, in seconds."""
    prepare_takes_params: bool = False
    is_async: bool = False
    """A built-in hook that is a coroutine function."""
    is_quiet: bool = False
    """A flow that its guard turns away shows no step of it: it concerns few flows."""
    replaces_headers: bool = False
    """It replaces the request's headers: hooks that only edit headers run after it."""

    @property
    def doc(self) -> str:
        """The first line of the hook's docstring."""
        return (self.apply.__doc__ or "").strip().partition("\n")[0]


def hook(
    *,
    stage: Stage,
    reads: set[str] | None = None,
    writes: set[str] | None = None,
    guard: Guard | None = None,
    prepare: Prepare | None = None,
    params: type[BaseModel] | None = None,
    security: bool = False,
    timeout_s: float = 10.0,
    replaces_headers: bool = False,
    is_quiet: bool = False,
) -> Callable[[Apply], HookSpec]:
    """Declare a function to be a hook.

    Registers nothing: the table in `interceptor.hooks` or a setting does that.
    """

    takes_params = prepare is not None and len(signature(prepare).parameters) > 1

    def declare(function: Apply) -> HookSpec:
        return HookSpec(
            name=function.__name__,
            stage=stage,
            apply=function,
            reads=frozenset(reads or ()),
            writes=frozenset(writes or ()),
            guard=guard,
            prepare=prepare,
            params=params,
            security=security,
            timeout_s=timeout_s,
            prepare_takes_params=takes_params,
            is_async=iscoroutinefunction(function),
            replaces_headers=replaces_headers,
            is_quiet=is_quiet,
        )

    return declare
