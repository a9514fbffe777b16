"""The table of `ccproxy flows list`.

What comes from the wire is shown with its control characters spelled out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.display.safe_text import printable
from flows.display.units import UNKNOWN
from flows.models import Flow

_WIDE_COLUMNS = 200
_PATH_CHARS, _AGENT_CHARS = 60, 30


def print_flows(flows: Iterable[Flow], output: Any, *, now: datetime, is_terminal: bool) -> None:
    """One line per flow: id, method, code, host, path, user agent, age."""
    console = Console(file=output, highlight=False, width=None if is_terminal else _WIDE_COLUMNS)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("ID", "Method", "Code", "Host", "Path", "UA", "Time"):
        table.add_column(heading, no_wrap=True)
    for flow in flows:
        table.add_row(
            Text(flow.id[:8]),
            _cell(flow.method, 10),
            status_text(flow.status_code),
            _cell(flow.host, 40),
            _cell(flow.path, _PATH_CHARS),
            _cell(flow.user_agent, _AGENT_CHARS),
            Text(ago(now - flow.started_at)),
        )
    console.print(table)


def _cell(value: str, longest_chars: int) -> Text:
    shown = printable(value).replace("\n", "\\n").replace("\t", "\\t")
    return Text(shown if len(shown) <= longest_chars else shown[: longest_chars - 1] + "…")


def status_text(code: int | None) -> Text:
    """The status: green when all is well, dim when there is none, red otherwise."""
    if code is None:
        return Text(UNKNOWN, style="dim")
    return Text(str(code), style="green" if 200 <= code < 300 else "red")


def ago(age: timedelta) -> str:
    """An age in its largest unit: "4s ago", "12m ago", "3h ago", "2d ago"."""
    seconds = max(0, int(age.total_seconds()))
    for size_s, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size_s:
            return f"{seconds // size_s}{unit} ago"
    return f"{seconds}s ago"
