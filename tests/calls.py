"""Calls of a function in a process of its own, with Django and another configuration.

`python -m tests.calls MODULE FUNCTION` reads arguments as JSON and writes the result as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[1]
CCPROXY = (sys.executable, str(Path(sysconfig.get_path("scripts"), "ccproxy")))
"""The installed command, under this interpreter."""


def call_elsewhere[**P, T](
    function: Callable[P, T], environ: Mapping[str, str], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Return the result of a module's function, called in a process with this environment.

    Arguments and result pass through JSON: a tuple comes back as a list. They never stand in argv.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.calls", function.__module__, function.__qualname__],
        cwd=ROOT,
        env={**environ, "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings"},
        input=json.dumps([args, kwargs]),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: T = json.loads(done.stdout)
    return result


def main(module: str, name: str) -> None:
    """Call the function that the command line names."""
    import django

    args, kwargs = json.load(sys.stdin)
    django.setup()
    function = getattr(import_module(module), name)
    with redirect_stdout(sys.stderr):
        result = function(*args, **kwargs)
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    main(*sys.argv[1:])
