"""`python -m tests.bench [section …] [--json FILE]`: measures, prints a table, writes the figures as JSON.

A section is a module of this package with a `TITLE` and `figures()`; a new one is one line in `SECTIONS`. Absolute
times depend on the machine and on what else runs on it, so every target is a ratio or has room.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench import translation
from tests.bench.result import Figure, Section

SECTIONS: dict[str, Section] = {"translation": translation}


def show(section: Section) -> list[Figure]:
    """Run a section and print its rows as they come."""
    print(f"{section.TITLE}\n")
    found: list[Figure] = []
    for figure in section.figures():
        if not found or found[-1].what != figure.what:
            print(f"  {figure.what}")
        target = "" if figure.target is None else f"  ≤ {figure.target:g}{'' if figure.kept else '  MISSED'}"
        print(f"    {figure.case:44}{figure.value:9.2f} {figure.unit}{target}", flush=True)
        found.append(figure)
    print()
    return found


def main() -> None:
    """Run the sections that were asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; all without one")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    results: dict[str, Any] = {}
    missed = 0
    for name in options.sections or SECTIONS:
        figures = show(SECTIONS[name])
        results[name] = [{**asdict(figure), "kept": figure.kept} for figure in figures]
        missed += sum(not figure.kept for figure in figures)
    print(f"{missed} targets missed" if missed else "Every target is kept.")
    if options.json:
        machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "load": os.getloadavg()[0]}
        options.json.write_text(json.dumps({"machine": machine, "sections": results}, indent=1))


if __name__ == "__main__":
    main()
