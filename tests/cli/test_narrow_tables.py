"""Tables of the commands on terminals of any width: no column vanishes without a word, no name is cut."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.listing import shell_table
from providers.listing.shell_table import print_table

HEADINGS = ("Name", "Where", "State", "What to do", "Count")
WORD = st.text("abcdefgh", min_size=1, max_size=12)
SENTENCE = st.lists(WORD, min_size=1, max_size=14).map(" ".join)
ROWS = st.lists(st.tuples(WORD, SENTENCE, SENTENCE, SENTENCE, WORD), min_size=1, max_size=4)


STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Screen(StringIO):
    """What a terminal gets."""

    def isatty(self) -> bool:
        return True


def printed(rows: list[tuple[str, ...]], columns: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    # Rich takes a dumb terminal for one of 80 columns.
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    print_table(
        HEADINGS, rows, screen, right=["Count"], wrapped=["What to do"], optional=["State", "Where"]
    )
    return STYLE.sub("", screen.getvalue())


@given(rows=ROWS, columns=st.integers(30, 200))
def test_names_figures_and_remedies_stay_whole(rows: list[tuple[str, ...]], columns: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shown = printed(rows, columns, patch)
    lines = shown.splitlines()
    assert all(len(line) <= columns for line in lines), lines
    words = re.findall(r"[^\s,.]+", shown)
    left_out = shown.partition("Not shown")[2]
    for name, where, state, remedy, count in rows:
        assert name in words
        assert count in words
        # Wrapped, but with all of its words.
        assert set(remedy.split()) <= set(words)
        # These may be cut, or left out.
        for heading, text in (("Where", where), ("State", state)):
            assert set(text.split()) <= set(words) or "…" in shown or heading in left_out
    assert set(" ".join(HEADINGS).split()) <= set(words)


@given(rows=ROWS)
def test_nothing_is_cut_where_the_output_is_no_terminal(rows: list[tuple[str, ...]]) -> None:
    out = StringIO()
    print_table(HEADINGS, rows, out, optional=HEADINGS)
    lines = out.getvalue().splitlines()
    assert len(lines) == len(rows) + 1
    for row, line in zip(rows, lines[1:], strict=True):
        assert all(cell in line for cell in row)


def test_a_table_that_does_not_fit_becomes_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    row = ("a-name-of-20-letters", "w" * 30, "s" * 30, "do this or that", "12")
    shown = printed([row, row], 40, monkeypatch)
    assert shown.count("a-name-of-20-letters") == 2
    assert shown.splitlines()[0].split() == ["Name", "a-name-of-20-letters"]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_long_path_goes_on_in_the_next_line(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = printed([("a", "b", "c", "/" * 90, "1")], columns, monkeypatch)
    assert shown.count("/") == 90


def test_the_widths_use_the_terminal() -> None:
    assert shell_table._widths([4, 60, 30], 60) == [4, 26, 26]
    assert shell_table._widths([4, 60, 30], 200) == [4, 60, 30]
