"""Caller of a tool: a name for the audit log, and its rights."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from providers.audit.log import Caller
from providers.base.errors import CcproxyError

SOURCE: Final = "mcp"


class RightMissing(CcproxyError):
    """The caller's token does not cover the tool."""


@dataclass(frozen=True, slots=True)
class McpCaller:
    """An account, or a holder of one of the server's own tokens."""

    name: str
    has_right: Callable[[str], bool]
    """Takes a permission of Django, such as `flows.view_flow`."""
    address: str = ""

    def demand(self, *rights: str) -> None:
        """Refuse a caller that lacks one of the rights.

        Raises:
            RightMissing: the sentence says which token would do.
        """
        for right in rights:
            if not self.has_right(right):
                raise RightMissing(
                    f"This token does not have the right {right}. Tools that change something need"
                    " the write token, or an API token of an account with that right."
                )

    def for_audit(self) -> Caller:
        """Return the caller as the audit log names it."""
        return Caller(self.name, SOURCE, self.address)


CURRENT_CALLER: ContextVar[McpCaller | None] = ContextVar("mcp_caller", default=None)
"""Set for each request before any tool runs; None: nothing is allowed."""


def current_caller() -> McpCaller:
    """Return the caller of the running request.

    Raises:
        RightMissing: no caller was established.
    """
    caller = CURRENT_CALLER.get()
    if caller is None:
        raise RightMissing("The caller of this tool is unknown.")
    return caller


def reads(right: str) -> bool:
    """Return whether a right only looks: `flows.view_flow` → True."""
    return right.partition(".")[2].startswith("view_")


def does_all(right: str) -> bool:
    """Return True: the write token covers every tool."""
    del right
    return True
