"""Tools that run at the client's own vendor, in a request for another one."""

from __future__ import annotations

from typing import Final

from providers.base.errors import UnsupportedByTarget
from providers.base.names import GOOGLE_GENERATE, WIRE_FORMATS, WireFormatName, format_label
from providers.wire.core.base import ServerTools
from providers.wire.core.ir import Request, Tool
from providers.wire.tools.client_run import runs_at_vendor
from providers.wire.tools.web_search import is_search, mapped_search

_MCP: Final = "mcp_servers"


def settle_server_tools(request: Request, dst: WireFormatName, policy: ServerTools) -> None:
    """Leave out the tools that the target cannot run, each a loss.

    Raises `UnsupportedByTarget` if the client forces one or has no others: the response could not
    be what it asks for.
    """
    label = format_label(dst)
    if policy == "map":
        _map_search(request, dst)
    dropped = [tool for tool in request.tools if _is_others(tool, dst)]
    names = _names(dropped)
    if request.extras.get(_MCP):
        names.append(_MCP)
    if not names:
        return
    rest = [tool for tool in request.tools if not _is_others(tool, dst)]
    choice = request.tool_choice
    is_off = choice is not None and choice.mode == "none"
    if policy == "refuse" or (not is_off and (not rest or _forces(request, names))):
        wanted = next(
            (name for name in (choice.names if choice else ()) if name in names), names[0]
        )
        raise UnsupportedByTarget(
            f"The tool {wanted!r} runs at {WIRE_FORMATS[request.source]} and does not exist in"
            f" {label}; leave it out or use a provider of the same wire format."
        )
    _drop(request, rest, label, dropped, names)


def _is_others(tool: Tool, dst: WireFormatName) -> bool:
    """Check for a tool that runs at a vendor which is not the target."""
    return runs_at_vendor(tool) and tool.vendor != dst


def _map_search(request: Request, dst: WireFormatName) -> None:
    """Replace the client's web search by the target's own, in place; forced, it stays forced."""
    searches = [tool for tool in request.tools if is_search(tool)]
    if not searches:
        return
    has_functions = any(not runs_at_vendor(tool) for tool in request.tools)
    found = mapped_search(searches[0], dst, request.losses, beside_functions=has_functions)
    if found is None:
        return
    kept = [tool for tool in request.tools if tool not in searches]
    request.tools = [*kept, found]
    choice, names = request.tool_choice, _names(searches)
    if choice is None:
        return
    renamed = [found.name if name in names else name for name in choice.names]
    choice.names = list(dict.fromkeys(renamed))
    if dst == GOOGLE_GENERATE and found.name in choice.names:
        # Google's modes of calling speak of functions alone.
        request.losses.add("tool_choice", "Google's search cannot be forced.")
        request.tool_choice = None


def _names(tools: list[Tool]) -> list[str]:
    """Return the names under which a client may choose the tools: their types, or own names."""
    names: list[str] = []
    for tool in tools:
        names.append(tool.name)
        own = (tool.raw or {}).get("name")
        if isinstance(own, str) and own not in names:
            names.append(own)
    return names


def _forces(request: Request, names: list[str]) -> bool:
    choice = request.tool_choice
    return choice is not None and bool(choice.names) and all(one in names for one in choice.names)


def _drop(
    request: Request, rest: list[Tool], label: str, dropped: list[Tool], names: list[str]
) -> None:
    lost = [tool.name for tool in dropped]
    if request.extras.pop(_MCP, None):
        lost.append(_MCP)
    for name in dict.fromkeys(lost):
        request.losses.add(
            f"tools.{name}", f"It runs at the client's own vendor; {label} has no such tool."
        )
    request.tools = rest
    choice = request.tool_choice
    if choice is not None and choice.names:
        choice.names = [name for name in choice.names if name not in names]
