"""Libraries may be imported without modules that they try."""

from __future__ import annotations

import importlib
import sys

import pytest

from providers.base.left_out import left_out

UNUSED = "sndhdr_of_nobody"


def test_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with left_out("this", UNUSED), pytest.raises(ImportError):
        importlib.import_module("this")
    assert "this" not in sys.modules
    assert UNUSED not in sys.modules


def test_what_is_loaded_stays() -> None:
    with left_out("json"):
        assert importlib.import_module("json").dumps([]) == "[]"
    assert "json" in sys.modules
