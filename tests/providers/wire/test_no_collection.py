"""Garbage collection pauses for one translation, and goes on whatever happens in it."""

from __future__ import annotations

import gc

import pytest

from providers.base.errors import MalformedBody
from providers.wire.core.no_collection import without_collection
from providers.wire.translate import translate_request

from .asking import A, C, user


@pytest.fixture(autouse=True)
def collecting() -> None:
    """Begin with the collector on: a test before may have left it off in this process."""
    gc.enable()


def test_the_collector_goes_on_after_a_translation() -> None:
    translate_request({"max_tokens": 9, "messages": [user()]}, A, C, model="m")
    assert gc.isenabled()
    with pytest.raises(MalformedBody):
        translate_request({"messages": 3}, A, C, model="m")
    assert gc.isenabled()


def test_a_pause_inside_of_a_pause_ends_with_the_outer_one() -> None:
    with without_collection():
        with without_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
