"""`python -m tests.bench [section …] [--quick] [--json FILE]`: measures, prints a table, writes the
figures as JSON.

A section is a module of this package with a `TITLE` and `figures()`; a new one is one line in
`SECTIONS`. Absolute times depend on the machine and on what else runs on it, so every target is a
ratio or has room. `--check` compares the ratios with the committed baseline, `--baseline` makes
this run the baseline.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench import (
    bodies,
    compare,
    flows,
    interpreter,
    jail,
    mcp,
    memory,
    requests,
    rest,
    retry,
    search,
    shape,
    soak,
    streams,
    telemetry,
    translation,
    transport,
    workers,
)
from tests.bench.result import OPTIONS, Figure, Section

SECTIONS: dict[str, Section] = {
    "requests": requests,
    "bodies": bodies,
    "streams": streams,
    "rest": rest,
    "memory": memory,
    "workers": workers,
    "soak": soak,
    "jail": jail,
    "translation": translation,
    "retry": retry,
    "transport": transport,
    "shape": shape,
    "telemetry": telemetry,
    "mcp": mcp,
    "flows": flows,
    "search": search,
}
WHEN_NAMED = {"flows", "search"}
"""Sections that take long: they run only when they are asked for."""


def show(section: Section) -> list[Figure]:
    """Run a section and print its rows as they come."""
    print(f"{section.TITLE}\n")
    found: list[Figure] = []
    for figure in _median_figures(section, OPTIONS.runs):
        if not found or found[-1].what != figure.what:
            print(f"  {figure.what}")
        target = (
            ""
            if figure.target is None
            else f"  ≤ {figure.target:g}{'' if figure.kept else '  MISSED'}"
        )
        print(f"    {figure.case:44}{figure.value:9.2f} {figure.unit}{target}", flush=True)
        found.append(figure)
    print()
    return found


def _median_figures(section: Section, runs: int) -> Iterator[Figure]:
    """Yield each figure: of one run as soon as it is known, of several the medians at the end."""
    if runs == 1:
        yield from section.figures()
        return
    found: dict[tuple[str, str], list[Figure]] = {}
    for _ in range(runs):
        for figure in section.figures():
            found.setdefault((figure.what, figure.case), []).append(figure)
    for figures in found.values():
        yield replace(figures[-1], value=median(figure.value for figure in figures))


def main() -> None:
    """Run the sections that were asked for, or all but the long ones."""
    options = _arguments()
    OPTIONS.quick, OPTIONS.soak_s = options.quick, options.soak_s
    OPTIONS.runs = options.runs
    print(f"{interpreter.running().summary}\n")
    names = options.sections or [name for name in SECTIONS if name not in WHEN_NAMED]
    results = {name: show(SECTIONS[name]) for name in names}
    missed = sum(not figure.kept for figures in results.values() for figure in figures)
    print(f"{missed} targets missed" if missed else "Every target is kept.")
    if options.json:
        options.json.write_text(json.dumps(_as_json(results), indent=1))
    if options.baseline:
        compare.write(compare.ratios(results))
    if options.check:
        _check(compare.ratios(results), names)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "sections",
        nargs="*",
        help=f"of {', '.join(SECTIONS)}; all but {', '.join(WHEN_NAMED)} without",
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="a few minutes: coarse figures")
    parser.add_argument(
        "--runs", type=int, default=1, help="run everything so often, and print the medians"
    )
    parser.add_argument(
        "--soak-s", type=float, default=OPTIONS.soak_s, help="how long the soak lasts"
    )
    parser.add_argument(
        "--check", action="store_true", help="fail when a ratio is much worse than the baseline"
    )
    parser.add_argument("--baseline", action="store_true", help="make this run the baseline")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    return options


def _as_json(results: dict[str, list[Figure]]) -> dict[str, Any]:
    machine = {
        "python": interpreter.running()._asdict(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    sections = {
        name: [{**asdict(figure), "kept": figure.kept} for figure in figures]
        for name, figures in results.items()
    }
    return {"machine": machine, "sections": sections}


def _check(now: dict[str, float], sections: list[str]) -> None:
    """End with 1 when this run is much worse than the baseline of the same sections."""
    baseline = {
        key: value for key, value in compare.read().items() if key.partition(":")[0] in sections
    }
    lines = compare.worse(now, baseline)
    print(
        "\n".join(["", "Worse than the baseline:", *lines])
        if lines
        else "No ratio is much worse than the baseline."
    )
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
