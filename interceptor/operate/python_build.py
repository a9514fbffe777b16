"""Build of the running Python: an optimised one takes less CPU time for the same requests."""

from __future__ import annotations

import platform
import sysconfig


def is_optimised(config_args: str) -> bool:
    """Return True for the arguments of a configure that measured its own programs (PGO)."""
    return "--enable-optimizations" in config_args


def python_build() -> str:
    """Return the version and the build: "Python 3.13.0, not optimised (…)"."""
    arguments = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    flags = str(sysconfig.get_config_var("PY_CFLAGS") or "")
    version = f"Python {platform.python_version()}"
    if is_optimised(arguments):
        has_lto = "--with-lto" in arguments or "-flto" in flags
        return f"{version}, optimised (PGO{' and LTO' if has_lto else ''})"
    return (
        f"{version}, not optimised: one built with --enable-optimizations takes a tenth to a"
        " quarter less CPU time"
    )
