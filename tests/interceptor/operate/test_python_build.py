"""The log names the build of the running Python."""

from __future__ import annotations

import sysconfig

import pytest

from interceptor.operate.python_build import python_build

VARIABLES: dict[str, dict[str, str | None]] = {
    "plain": {"CONFIG_ARGS": "'--prefix=/x' '--enable-shared'", "PY_CFLAGS": "-O3 -Wall"},
    "pgo": {"CONFIG_ARGS": "'--enable-optimizations'", "PY_CFLAGS": "-O3 -Wall"},
    "lto": {"CONFIG_ARGS": "'--enable-optimizations' '--with-lto'", "PY_CFLAGS": "-O2"},
    "unknown": {"CONFIG_ARGS": None, "PY_CFLAGS": None},
}


@pytest.mark.parametrize(
    ("build", "told"),
    [
        ("plain", ", not optimised: "),
        ("pgo", ", optimised (PGO)"),
        ("lto", ", optimised (PGO and LTO)"),
        ("unknown", ", not optimised: "),
    ],
)
def test_it_works(monkeypatch: pytest.MonkeyPatch, build: str, told: str) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", VARIABLES[build].get)
    assert told in python_build()
    assert python_build().startswith("Python 3.")
