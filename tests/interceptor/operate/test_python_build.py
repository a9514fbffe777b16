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
SCHEMES = ("posix_prefix", "venv")


@pytest.mark.parametrize(
    ("build", "schemes", "told"),
    [
        ("plain", SCHEMES, ", not optimised: "),
        ("pgo", SCHEMES, ", optimised (PGO)"),
        ("lto", SCHEMES, ", optimised (PGO and LTO)"),
        ("plain", ("deb_system", *SCHEMES), ", optimised (PGO)"),
        ("unknown", SCHEMES, ", which does not say"),
    ],
)
def test_it_works(
    monkeypatch: pytest.MonkeyPatch, build: str, schemes: tuple[str, ...], told: str
) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", VARIABLES[build].get)
    monkeypatch.setattr(sysconfig, "get_scheme_names", lambda: schemes)
    assert told in python_build()
    assert python_build().startswith("Python 3.")
