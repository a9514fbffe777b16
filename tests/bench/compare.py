"""Compares a run with the committed baseline: ratios only, with much room, because machines and
neighbours differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.bench.result import Figure

BASELINE = Path(__file__).with_name("baseline.json")
ROOM = 1.5
"""A ratio may be this much higher than in the baseline: neighbouring runs differ by a tenth, shared
runners by more.
"""


def ratios(sections: Mapping[str, Iterable[Figure]]) -> dict[str, float]:
    """The ratios of a run by section, figure and case."""
    return {
        f"{name}: {figure.what}: {figure.case}": round(figure.value, 3)
        for name, figures in sections.items()
        for figure in figures
        if figure.is_ratio
    }


def worse(now: Mapping[str, float], baseline: Mapping[str, float]) -> list[str]:
    """One line for every ratio that got worse by more than the room, and for every one that is new
    or gone.
    """
    found = [
        f"{key}: {now[key]:.2f} × instead of {before:.2f} ×"
        for key, before in baseline.items()
        if key in now and now[key] > before * ROOM
    ]
    found += [f"{key}: not measured any more" for key in baseline if key not in now]
    return found + [f"{key}: not in the baseline" for key in now if key not in baseline]


def read() -> dict[str, float]:
    """The committed baseline."""
    found: dict[str, float] = json.loads(BASELINE.read_text())
    return found


def write(now: Mapping[str, float]) -> None:
    """Make this run the baseline."""
    BASELINE.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n")
