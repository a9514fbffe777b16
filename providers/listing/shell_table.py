"""Tables and JSON that commands print. Control characters from the wire are escaped. No Django."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text as Text

from providers.listing.plain_text import printable

type Cell = str | Text

_NO_LIMIT: Final = 100_000
"""Columns of a file or a pipe: a script finds there what a terminal would cut."""


def table_console(output: Any, *, is_terminal: bool) -> Console:
    """Return a console that cuts long lines on a terminal alone."""
    return Console(file=output, highlight=False, width=None if is_terminal else _NO_LIMIT)


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[Cell]], output: Any, *, right: Collection[str]
) -> None:
    """Print rows below their headings; those in `right` are aligned to the right."""
    console = table_console(output, is_terminal=output.isatty())
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        justify: Any = "right" if heading in right else "left"
        # Long texts are cut on a terminal, so that every row stays on one line.
        table.add_column(heading, no_wrap=True, overflow="ellipsis", justify=justify)
    for row in rows:
        table.add_row(*[_text(cell) for cell in row])
    console.print(table)


def _text(cell: Cell) -> Text:
    if isinstance(cell, Text):
        return cell
    return Text(printable(cell).replace("\n", "\\n").replace("\t", "\\t"))


def print_values(values: Any, output: Any) -> None:
    """Print values as JSON for programs; moments and amounts become texts."""
    output.write(json.dumps(values, indent=2, default=str) + "\n")
