"""Tables of commands: cut on a terminal, complete in a file."""

from __future__ import annotations

import io
import os
import pty

from hypothesis import given
from hypothesis import strategies as st

from providers.listing.shell_table import print_table

CELLS = st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=1)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5), st.integers(1, 3000))
def test_a_file_gets_every_cell_in_full(rows: list[tuple[str, str, str]], repeats: int) -> None:
    output = io.StringIO()
    long = [(name, address * repeats, state) for name, address, state in rows]
    print_table(["Name", "Address", "State"], long, output, right=())
    _, *lines = output.getvalue().splitlines()
    assert [tuple(line.split()) for line in lines] == long


def test_a_terminal_gets_one_line_a_row() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as output, os.fdopen(ours, "rb") as shown:
        print_table(["Name", "Address"], [("a", "x" * 500)], output, right=())
        output.flush()
        text = shown.read1().decode()
    assert text.count("\n") == 2
    assert "x" * 40 in text and "x" * 300 not in text and "…" in text
