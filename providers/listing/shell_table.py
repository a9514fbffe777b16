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
_GAP_COLUMNS: Final = 2
_FIXED_COLUMNS: Final = 24
"""A column that is no wider is never cut."""
_LEAST_COLUMNS: Final = 14
"""Any other column has this width at least."""


def table_console(output: Any, *, is_terminal: bool) -> Console:
    """Return a console that cuts long lines on a terminal alone."""
    return Console(file=output, highlight=False, width=None if is_terminal else _NO_LIMIT)


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    output: Any,
    *,
    right: Collection[str] = (),
    wrapped: Collection[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Print rows below their headings, as wide as the terminal; elsewhere nothing is cut.

    Args:
        headings: of the columns.
        rows: a cell for each heading.
        output: where they are printed.
        right: headings of columns that are aligned to the right.
        wrapped: those whose long texts take several lines; others are cut.
        optional: those left out on a narrow terminal, one after the other until the table fits.
    """
    cells = [[_text(cell) for cell in row] for row in rows]
    console = table_console(output, is_terminal=output.isatty())
    shown = _chosen(headings, cells, optional, console.width)
    natural = _natural_widths(headings, cells, shown)
    if not _fits(natural, console.width):
        _print_records(headings, cells, console)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, columns in zip(shown, _widths(natural, console.width), strict=True):
        justify: Any = "right" if heading in right else "left"
        is_cut = heading not in wrapped
        # A path is longer than a line may be.
        overflow: Any = "ellipsis" if is_cut else "fold"
        table.add_column(heading, no_wrap=is_cut, overflow=overflow, justify=justify, width=columns)
    positions = [headings.index(heading) for heading in shown]
    for row in cells:
        table.add_row(*[row[position] for position in positions])
    console.print(table)
    if left_out := [heading for heading in headings if heading not in shown]:
        console.print(f"Not shown on this narrow terminal: {', '.join(left_out)}.", style="dim")


def _chosen(
    headings: Sequence[str], cells: Sequence[Sequence[Text]], optional: Sequence[str], width: int
) -> list[str]:
    """Return the headings without those optional ones for which there is no room."""
    shown = list(headings)
    for heading in optional:
        if _fits(_natural_widths(headings, cells, shown), width):
            break
        shown.remove(heading)
    return shown


def _natural_widths(
    headings: Sequence[str], cells: Sequence[Sequence[Text]], shown: Sequence[str]
) -> list[int]:
    """Return the width of each shown column in which nothing is cut."""
    widths = []
    for position in map(headings.index, shown):
        texts = [Text(headings[position]), *(row[position] for row in cells)]
        widths.append(max(text.cell_len for text in texts))
    return widths


def _least(natural: int) -> int:
    return natural if natural <= _FIXED_COLUMNS else _LEAST_COLUMNS


def _fits(natural: Sequence[int], width: int) -> bool:
    gaps = _GAP_COLUMNS * (len(natural) - 1)
    return sum(map(_least, natural)) + gaps <= width


def _widths(natural: Sequence[int], width: int) -> list[int]:
    """Return the columns' widths: each its least, the rest is dealt out to those that need it.

    [4, 60, 30] in 60 columns → [4, 26, 26]
    """
    widths = [_least(columns) for columns in natural]
    left = width - sum(widths) - _GAP_COLUMNS * (len(natural) - 1)
    while left > 0:
        needing = [i for i, columns in enumerate(natural) if widths[i] < columns]
        if not needing:
            break
        narrowest = min(needing, key=widths.__getitem__)
        widths[narrowest] += 1
        left -= 1
    return widths


def _print_records(
    headings: Sequence[str], cells: Sequence[Sequence[Text]], console: Console
) -> None:
    """Print each row as lines of heading and cell, for a terminal that no table fits."""
    for row in cells:
        record = Table.grid(padding=(0, 1))
        for heading, cell in zip(headings, row, strict=True):
            if cell.plain:
                record.add_row(Text(heading, style="bold"), cell)
        console.print(record)
        console.print()


def _text(cell: Cell) -> Text:
    if isinstance(cell, Text):
        return cell
    return Text(printable(cell).replace("\n", "\\n").replace("\t", "\\t"))


def print_values(values: Any, output: Any) -> None:
    """Print values as JSON for programs; moments and amounts become texts."""
    output.write(json.dumps(values, indent=2, default=str) + "\n")
