"""The interpreter that everything runs on, and how it was built: it decides many a ratio."""

from __future__ import annotations

import platform
import sys
import sysconfig
from typing import NamedTuple

from interceptor.operate.python_build import has_link_time_optimisation, has_profile


class Interpreter(NamedTuple):
    """The running Python and its build flags."""

    version: str
    path: str
    has_profile: bool
    """Built with a profile of its own programs."""
    has_lto: bool
    """Built with link-time optimisation, as far as the build's record says."""
    flags: str

    @property
    def summary(self) -> str:
        """Two lines for a person."""
        return (
            f"Python {self.version}, {self.path}\n"
            f"  profile-guided: {_yes(self.has_profile)}, link-time optimisation:"
            f" {_yes(self.has_lto)}; compiled with {self.flags}"
        )


def running() -> Interpreter:
    """Return the interpreter of this process; the servers that are measured have the same."""
    return Interpreter(
        version=platform.python_version(),
        path=getattr(sys, "_base_executable", sys.executable),
        has_profile=has_profile(),
        has_lto=has_link_time_optimisation(),
        flags=_variable("CFLAGS"),
    )


def _variable(name: str) -> str:
    return str(sysconfig.get_config_var(name) or "")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
