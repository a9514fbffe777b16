"""Models are built without reading the entry points of all installed packages."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from pydantic.plugin import _loader

from interceptor.config.files.pydantic_plugins import search_no_plugins


def test_a_model_is_built_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_entry_points(**_: object) -> None:
        raise AssertionError("pydantic searched for plugins")

    monkeypatch.setattr(_loader, "_plugins", None)
    monkeypatch.setattr(_loader, "entry_points", read_entry_points)

    search_no_plugins()

    class Port(BaseModel):
        number: int

    assert Port(number=1).number == 1


def test_plugins_that_were_found_before_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"a plugin": object()}
    monkeypatch.setattr(_loader, "_plugins", found)
    search_no_plugins()
    assert _loader._plugins is found
