"""THE list of tools, with the rights that each asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ccproxy_site.mcp.tools.flow_tools import (
    get_flow,
    get_request_body,
    get_response_body,
    list_flows,
)
from flows.queries.rights import VIEW_FLOWS


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: its function's name, docstring and annotations are what clients see."""

    function: Callable[..., Any]
    rights: tuple[str, ...] = (VIEW_FLOWS,)
    changes: bool = False
    """It changes or sends something."""
    destroys: bool = False
    """It deletes something."""

    @property
    def name(self) -> str:
        """The name by which clients call it."""
        return self.function.__name__

    @property
    def hints(self) -> dict[str, bool]:
        """The annotations of the protocol."""
        return {"readOnlyHint": not self.changes, "destructiveHint": self.destroys}


TOOLS: tuple[Tool, ...] = (
    Tool(list_flows),
    Tool(get_flow),
    Tool(get_request_body),
    Tool(get_response_body),
)
