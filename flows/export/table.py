"""Table of `ccproxy flows list`. Control characters from the wire are escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from rich.table import Table
from rich.text import Text

from flows.display.units import UNKNOWN, status_words
from flows.failure import ERROR_STATE
from flows.queries.newest_rows import count_flows, newest_rows
from providers.listing.plain_text import printable
from providers.listing.shell_table import table_console
from providers.reading.database_reader import Read

_HEADINGS: Final = ("ID", "Method", "Code", "Host", "Path", "UA", "Time")
NEWEST_ROWS: Final = 100
"""Rows of a table for which no number was given."""
_ID_CHARS: Final = 8
_METHOD_CHARS: Final = 10
_HOST_CHARS: Final = 40
_PATH_CHARS: Final = 60
_AGENT_CHARS: Final = 30
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))


class SearchHit(Protocol):
    """Text of a flow in which a search found its words."""

    @property
    def where(self) -> str: ...
    @property
    def text(self) -> str: ...


class TableRow(Protocol):
    """Columns of a flow that the table shows: those of a `Flow`, or of a `ListedFlow`."""

    @property
    def id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def started_at(self) -> datetime: ...
    @property
    def method(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def status_code(self) -> int | None: ...
    @property
    def user_agent(self) -> str: ...


def print_newest(
    read: Read, number: int | None, output: Any, errors: Any, *, is_terminal: bool
) -> None:
    """Print the newest flows without name lookups; `number` is None where none was given."""
    rows = newest_rows(read, number or NEWEST_ROWS)
    if not rows:
        is_empty = count_flows(read) == 0
        output.write("No flows are recorded yet.\n" if is_empty else "No flow matches.\n")
        return
    print_flows(rows, output, now=datetime.now(UTC), is_terminal=is_terminal)
    if number is None and (total := count_flows(read)) > NEWEST_ROWS:
        errors.write(f"Of the newest {NEWEST_ROWS} of {total} flows; -n N shows more.\n")


def print_flows(
    flows: Iterable[TableRow], output: Any, *, now: datetime, is_terminal: bool
) -> None:
    """Print one line per flow: id, method, code, host, path, user agent, age."""
    console = table_console(output, is_terminal=is_terminal)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=True)
    for flow in flows:
        table.add_row(
            Text(flow.id[:_ID_CHARS]),
            _cell(flow.method, _METHOD_CHARS),
            status_text(flow.status_code, failed=flow.state == ERROR_STATE),
            _cell(flow.host, _HOST_CHARS),
            _cell(flow.path, _PATH_CHARS),
            _cell(flow.user_agent, _AGENT_CHARS),
            Text(ago(now - flow.started_at)),
        )
    console.print(table)


def print_hits(hits: Mapping[str, SearchHit], output: Any) -> None:
    """Print where a search found its words: "0a1b2c3d  tool result, turn 7: … text …"."""
    for flow_id, hit in hits.items():
        output.write(printable(f"{flow_id[:_ID_CHARS]}  {hit.where}: {hit.text}") + "\n")


def _cell(value: str, longest_chars: int) -> Text:
    shown = printable(value).replace("\n", "\\n").replace("\t", "\\t")
    if len(shown) > longest_chars:
        shown = f"{shown[: longest_chars - 1]}…"
    return Text(shown)


def status_text(code: int | None, *, failed: bool = False) -> Text:
    """Return the status: green for 2xx, dim when there is none, red otherwise."""
    if code is None and not failed:
        return Text(UNKNOWN, style="dim")
    good = code is not None and 200 <= code < 300 and not failed
    return Text(status_words(code, failed=failed), style="green" if good else "red")


def ago(age: timedelta) -> str:
    """Write an age in its largest unit: "4s ago", "12m ago", "3h ago", "2d ago"."""
    seconds = max(0, int(age.total_seconds()))
    for unit_s, unit in _UNITS:
        if seconds >= unit_s:
            return f"{seconds // unit_s}{unit} ago"
    return f"{seconds}s ago"
