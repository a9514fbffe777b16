"""zstd frames: they come back, and take as much memory as they are long."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from flows.bytes import delta, zstd

COUNT = 20
OVERHEAD_BYTES = 200
"""Of an object, and of what Python allocates by the way."""
BASE = bytes(range(256)) * 40


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("size_bytes", [2000, zstd.LARGE_BYTES, 500_000])
@pytest.mark.parametrize(
    "compress",
    [
        zstd.compress,
        lambda data: zstd.compress_with_dictionary(BASE, data),
        lambda data: delta.encode(data, BASE),
    ],
    ids=["alone", "with a dictionary", "delta"],
)
def test_a_frame_holds_no_more_memory_than_it_is_long(
    compress: Callable[[bytes], bytes], size_bytes: int
) -> None:
    data = (BASE + b"another request ") * (size_bytes // len(BASE) + 1)
    compress(data)
    before = tracemalloc.get_traced_memory()[0]
    frames = [compress(data) for _ in range(COUNT)]
    held_bytes = (tracemalloc.get_traced_memory()[0] - before) / COUNT
    assert len(frames[0]) < len(data) / 4
    assert held_bytes < len(frames[0]) + OVERHEAD_BYTES
