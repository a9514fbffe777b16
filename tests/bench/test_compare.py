from __future__ import annotations

import subprocess
import sys

from tests.bench.compare import ROOM, ratios, read, worse
from tests.bench.result import Figure
from tests.environment import ROOT


def test_only_ratios_are_compared_and_each_must_be_known() -> None:
    figures = [Figure("CPU", "ours by theirs", 1.23456, "×"), Figure("CPU", "ours", 4.0, "s")]
    assert ratios({"proxy": figures}) == {"proxy: CPU: ours by theirs": 1.235}


def test_what_got_much_worse_is_told() -> None:
    before = {"a": 1.0, "b": 1.0, "gone": 1.0}
    lines = worse({"a": ROOM - 0.01, "b": ROOM + 0.01, "new": 1.0}, before)
    assert lines == [
        "b: 1.51 × instead of 1.00 ×",
        "gone: not measured any more",
        "new: not in the baseline",
    ]


def test_the_committed_baseline_is_readable() -> None:
    assert all(value > 0 for value in read().values())


def test_the_benchmark_starts() -> None:
    """It runs outside of pytest, without Django's settings."""
    run = subprocess.run([sys.executable, "-m", "tests.bench", "--help"], cwd=ROOT)
    assert run.returncode == 0
