"""Bytecode of dataclasses that is kept between starts."""

from __future__ import annotations

import builtins
import dataclasses
import inspect
import marshal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccproxy_site.mains import generated_code
from ccproxy_site.mains.generated_code import file_of, kept_code
from tests.environment import ROOT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(generated_code, "file_of", lambda kind: tmp_path / kind)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return tmp_path


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were compiled."""
    texts: list[str] = []

    def noting(text: str, *arguments: Any, **options: Any) -> Any:
        texts.append(text)
        return builtins.compile(text, *arguments, **options)

    monkeypatch.setattr(generated_code, "compile", noting, raising=False)
    return texts


def point() -> type:
    return dataclasses.make_dataclass("Point", [("x", int), ("y", int, 3)], frozen=True)


def make(kind: str, *makers: Callable[[], type]) -> list[type]:
    with kept_code(kind):
        return [maker() for maker in makers]


def test_a_text_is_compiled_once(folder: Path, compiled: list[str]) -> None:
    make("proxy", point)
    assert len(compiled) == 1
    (made,) = make("proxy", point)
    assert len(compiled) == 1
    assert repr(made(1)) == "Point(x=1, y=3)"


def test_outside_of_it_nothing_is_kept(folder: Path, compiled: list[str]) -> None:
    make("proxy", point)
    assert "exec" not in vars(dataclasses)
    dataclasses.make_dataclass("Other", ["z"])
    assert len(compiled) == 1


def test_what_the_nursery_compiled_serves_a_process_that_it_did_not_fork(
    folder: Path, compiled: list[str]
) -> None:
    make("nursery", point)
    make("proxy", point)
    assert len(compiled) == 1
    assert not (folder / "proxy").exists()


def test_texts_of_other_runs_stay(folder: Path, compiled: list[str]) -> None:
    def other() -> type:
        return dataclasses.make_dataclass("Other", ["z"])

    make("proxy", point)
    make("proxy", other)
    make("proxy", point, other)
    assert len(compiled) == 2


def test_a_file_that_grew_too_large_keeps_what_is_used(
    folder: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generated_code, "MAX_FILE_BYTES", 1)
    make("proxy", point)
    make("proxy", lambda: dataclasses.make_dataclass("Other", ["z"]))
    make("proxy", point)
    assert len(compiled) == 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no bytecode",
        MAGIC_NUMBER,
        MAGIC_NUMBER + b"{",
        MAGIC_NUMBER + marshal.dumps([1]),
        b"\0\0\0\0" + marshal.dumps({}),
    ],
)
def test_a_file_that_cannot_be_read_is_replaced(
    folder: Path, compiled: list[str], data: bytes
) -> None:
    (folder / "proxy").write_bytes(data)
    make("proxy", point)
    make("proxy", point)
    assert len(compiled) == 1


def test_nothing_is_written_where_python_writes_no_bytecode(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    make("proxy", point)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "file").touch()
    monkeypatch.setattr(generated_code, "file_of", lambda kind: tmp_path / "file" / kind)
    (made,) = make("proxy", point)
    assert made(1).y == 3


_FIELDS = st.lists(
    st.tuples(
        st.sampled_from("abcdef"),
        st.sampled_from([int, "str", list[int], "None"]),
        st.sampled_from([{}, {"default": 1}, {"default_factory": list}, {"kw_only": True}]),
    ),
    unique_by=lambda field: field[0],
    max_size=4,
)
_OPTIONS = st.fixed_dictionaries(
    {
        name: st.booleans()
        for name in ("init", "repr", "eq", "frozen", "slots", "unsafe_hash", "match_args")
    }
)


@given(_FIELDS, _OPTIONS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_class_from_kept_bytecode_is_the_same(
    folder: Path, fields: list[tuple[str, Any, dict[str, Any]]], options: dict[str, Any]
) -> None:
    # Fields without a default come first.
    ordered = sorted(fields, key=lambda field: bool(field[2]) and "kw_only" not in field[2])

    def made() -> type:
        parts = [(name, kind, dataclasses.field(**more)) for name, kind, more in ordered]
        return dataclasses.make_dataclass("Made", parts, **options)

    for kept in make("proxy", made) + make("proxy", made):
        assert described(kept) == described(made())


def described(made: type) -> dict[str, Any]:
    """Return what one can see of a class: its methods' code and signatures."""
    return {
        name: (inspect.signature(value), value.__code__.co_code, value.__annotations__)
        for name, value in vars(made).items()
        if inspect.isfunction(value) and not hasattr(value, "__wrapped__")
    }


def test_the_processes_keep_theirs_beside_the_bytecode() -> None:
    assert file_of("proxy").parent.name == "__pycache__"
    assert file_of("proxy") != file_of("recorder")


_PROGRAM = """
import sys
from pathlib import Path

from ccproxy_site.mains import generated_code, nursery_main

generated_code.file_of = lambda kind: Path(sys.argv[1]) / kind
sys.dont_write_bytecode = False
compiled = []
generated_code.compile = lambda *words, **more: compiled.append(1) or compile(*words, **more)
nursery_main.begin = lambda _: None
nursery_main.serve = lambda *_: None
nursery_main.main(["--control", "0"])
print(len(compiled))
"""


def test_a_second_nursery_compiles_none(tmp_path: Path) -> None:
    counts = [
        int(
            subprocess.run(
                [sys.executable, "-c", _PROGRAM, str(tmp_path)],
                cwd=ROOT,
                capture_output=True,
                check=True,
                text=True,
            ).stdout
        )
        for _ in range(2)
    ]
    assert counts[0] > 100
    assert counts[1] == 0
