"""jq filters: results, refusals, and that hostile ones cost little and learn nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flows.queries.jq import DEFAULT_LIMITS, JqError, JqLimits, run_jq

FLOWS = [{"id": "a", "model": "haiku", "n": 1}, {"id": "b", "model": "opus", "n": 2}]


def refusal(*filters: str, limits: JqLimits = DEFAULT_LIMITS) -> str:
    with pytest.raises(JqError) as refused:
        run_jq(filters, FLOWS, limits)
    return str(refused.value)


def test_filters_are_chained():
    assert run_jq(["map(select(.n > 1))", "map(.id)"], FLOWS) == ["b"]
    assert run_jq([". # everything", " ", "def ids: map(.id); ids"], iter(FLOWS)) == ["a", "b"]


def test_without_a_filter_nothing_is_started(monkeypatch):
    monkeypatch.setattr("subprocess.Popen", None)
    assert run_jq(["", "  "], FLOWS) == FLOWS


def test_any_text_survives_the_way_there_and_back():
    text = "\0 \u2028 é 𝄞 </script> ' \" \\"
    assert run_jq(["."], [{"text": text}]) == [{"text": text}]
    assert run_jq(["."], [{"text": "\udc80"}]) == [{"text": "\ufffd"}]


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ([".[} "], "syntax error, unexpected INVALID_CHARACTER (line 1, column 3)"),
        (
            [".", "map(.id)\n| nope"],
            "jq filter 2 of 2 failed: nope/0 is not defined (line 2, column 3)",
        ),
        ([".[0]"], "returns object; it has to return an array"),
        ([".[]"], "no value or several"),
        (["empty"], "no value or several"),
        (["halt"], "returns nothing"),
        (["map(.id)", "map(.id)"], "jq filter 2 of 2 failed: Cannot index string"),
        (['error("mine")'], "mine"),
        ([".a)) | ((."], "syntax error"),
        (["x" * (DEFAULT_LIMITS.filter_chars + 1)], "may have at most"),
        (["."] * 21, "at most 20"),
        ([".\0"], "NUL"),
    ],
)
def test_errors_name_the_filter_and_the_place(filters: list[str], words: str):
    assert words in refusal(*filters)


def test_a_filter_of_a_megabyte_is_refused_at_once(monkeypatch):
    monkeypatch.setattr("subprocess.Popen", None)
    assert "1048576 characters" in refusal("." * 1024 * 1024)


@pytest.mark.parametrize(
    "hostile",
    [
        "[repeat(1)]",
        "[range(1e9)]",
        "def f: f; f",
        '[range(1e6)] | map("x" * 1000)',
        '("a" * 1e9) | [.]',
        "reduce range(5000) as $i ([]; [.])",
        '[range(2e6)] | map("0123456789abcdef")',
    ],
)
def test_what_never_ends_or_eats_the_memory_is_stopped(hostile: str):
    assert refusal(hostile, limits=JqLimits(timeout_s=1.0))


def test_a_filter_learns_nothing_of_the_machine(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("CANARY", "canary-4711")
    monkeypatch.setenv("JQ_LIBRARY_PATH", str(tmp_path))
    (tmp_path / "x.jq").write_text('def f: "canary-4711";')
    (tmp_path / "x.json").write_text('["canary-4711"]')
    assert run_jq(["[env, $ENV, input_filename] | map(. // {})"], []) == [{}, {}, {}]
    assert os.environ["CANARY"]
    for source in (
        'import "x" as x; [x::f]',
        f'import "x" as $x {{search: "{tmp_path}"}}; $x',
        f'include "x" {{search: "{tmp_path}"}}; [f]',
        f'["{tmp_path}/x" | modulemeta]',
        "$__prog_args",
    ):
        assert "canary" not in refusal(source)
