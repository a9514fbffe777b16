"""`python -m ccproxy_site.supervise`: what `ccproxy start` becomes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from ccproxy_site.supervise.family import Family, Options
from ccproxy_site.supervise.nursery_start import NurseryProcess


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the installation's processes until a signal; return the exit code."""
    parser = argparse.ArgumentParser(prog="ccproxy start")
    parser.add_argument("--no-console", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--flow-lines", action="store_true")
    parser.add_argument("--nursery", type=NurseryProcess.parse, help="one that runs already")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    chosen = Options(
        workers=options.workers, console=not options.no_console, flow_lines=options.flow_lines
    )
    return Family(chosen, nursery=options.nursery).run()


if __name__ == "__main__":
    raise SystemExit(main())
