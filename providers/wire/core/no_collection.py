"""Pause of the garbage collector while something makes many objects that stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Run the block without collections of garbage.

    The translation of a long history makes tens of thousands of objects that live until its end
    and form no cycles. Each collection looks at all of them and finds nothing, which took a tenth
    of the time. With threads the pause ends with the first one that began it.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
