"""THE list of tools, with the rights that each asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ccproxy_site.mcp.tools import (
    change_tools,
    export_tools,
    flow_tools,
    library_tools,
    provider_tools,
    reading_tools,
    session_tools,
)
from flows.queries.rights import RESEND, VIEW_FLOWS
from shapes.versions.rights import RIGHTS as SHAPE_RIGHTS

CLEAR = "flows.delete_flow"
VIEW_PROVIDERS = "providers.view_provider"
LIBRARY = (VIEW_FLOWS, VIEW_PROVIDERS)
CHANGE_LIBRARY = (*LIBRARY, "providers.change_provider")


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
    Tool(flow_tools.list_flows),
    Tool(flow_tools.search_flows),
    Tool(flow_tools.get_flow),
    Tool(flow_tools.get_request_body),
    Tool(flow_tools.get_response_body),
    Tool(reading_tools.get_conversation),
    Tool(reading_tools.explain_flow),
    Tool(reading_tools.why_cache_missed),
    Tool(reading_tools.context_breakdown),
    Tool(reading_tools.translation_losses),
    Tool(session_tools.list_conversations),
    Tool(session_tools.session_summary),
    Tool(session_tools.usage),
    Tool(export_tools.export_session),
    Tool(export_tools.dump_har),
    Tool(export_tools.diff_flows),
    Tool(export_tools.compare_flow),
    Tool(provider_tools.list_providers, (VIEW_PROVIDERS,)),
    Tool(provider_tools.list_models, (VIEW_PROVIDERS,)),
    Tool(provider_tools.list_shapes, SHAPE_RIGHTS["look"]),
    Tool(library_tools.perplexity_limits, LIBRARY),
    Tool(library_tools.list_perplexity_threads, LIBRARY),
    Tool(library_tools.get_perplexity_thread, LIBRARY),
    Tool(change_tools.clear_flows, (VIEW_FLOWS, CLEAR), changes=True, destroys=True),
    Tool(change_tools.resend_flow, (VIEW_FLOWS, RESEND), changes=True),
    Tool(change_tools.capture_shape, SHAPE_RIGHTS["capture"], changes=True),
    Tool(library_tools.rename_perplexity_thread, CHANGE_LIBRARY, changes=True),
    Tool(library_tools.share_perplexity_thread, CHANGE_LIBRARY, changes=True),
    Tool(library_tools.export_perplexity_thread, CHANGE_LIBRARY, changes=True),
    Tool(library_tools.delete_perplexity_thread, CHANGE_LIBRARY, changes=True, destroys=True),
)
