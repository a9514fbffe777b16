"""What is written before a run is what pytest loads."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

from tests.rewritten_bytecode import write_bytecode


def test_pytest_rewrites_no_module_whose_bytecode_was_written(
    tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "test_it.py"
    path.write_text("def compare(): assert [1] == [2]\n")
    write_bytecode(path)
    spec = spec_from_file_location("test_it", path)
    assert spec is not None
    module = module_from_spec(spec)
    monkeypatch.delattr(rewrite, "_rewrite_test")
    rewrite.AssertionRewritingHook(pytestconfig).exec_module(module)
    with pytest.raises(AssertionError, match="At index 0 diff: 1 != 2"):
        module.compare()
    assert not list(tmp_path.glob("__pycache__/*.pyc.*"))
