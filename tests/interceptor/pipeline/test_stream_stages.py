"""Stages of a streamed response: any chunking, their order at the end, and a stage that fails."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.pipeline.stream_stages import DecodingStage, StreamBroken, StreamStages


@dataclass
class Lines:
    """Gives complete lines only, each with a mark; what is left comes at the end."""

    mark: bytes
    rest: bytes = b""
    failed: list[str] = field(default_factory=list)

    def feed(self, data: bytes) -> bytes:
        if b"BROKEN" in self.rest + data:
            raise StreamBroken("a broken line")
        *lines, self.rest = (self.rest + data).split(b"\n")
        return b"".join(self.mark + line + b"\n" for line in lines)

    def flush(self) -> bytes:
        return self.mark + self.rest + b"(end)\n" if self.rest else b""

    def fail(self, status: int, message: str) -> bytes:
        self.failed.append(f"{status} {message}")
        return b"error by " + self.mark


def through(stages: StreamStages, chunks: list[bytes]) -> bytes:
    return b"".join(stages.feed(chunk) for chunk in chunks if chunk) + stages.flush()


@given(
    text=st.lists(st.sampled_from([b"a", b"bc", b"\n"]), max_size=20).map(b"".join),
    cuts=st.lists(st.integers(0, 40), max_size=6).map(sorted),
)
def test_any_chunking_gives_the_same(text: bytes, cuts: list[int]) -> None:
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    packed = gzip.compress(text)
    whole = through(StreamStages([Lines(b"1"), Lines(b"2")]), [text])
    assert through(StreamStages([Lines(b"1"), Lines(b"2")]), chunks) == whole
    pieces = [packed[at : at + 3] for at in range(0, len(packed), 3)]
    assert through(StreamStages([DecodingStage("gzip"), Lines(b"1"), Lines(b"2")]), pieces) == whole


def test_what_a_stage_kept_back_passes_the_stages_behind_it_at_the_end() -> None:
    stages = StreamStages([Lines(b"1"), Lines(b"2")])
    assert stages.feed(b"x\ny") == b"21x\n"
    assert stages.flush() == b"21y(end)\n"
    assert stages.flush() == b""


@pytest.mark.parametrize("broken", [0, 1])
def test_the_last_stage_ends_the_stream_of_a_stage_that_fails(broken: int) -> None:
    last = Lines(b"last")
    first = DecodingStage("gzip") if broken == 0 else Lines(b"1")
    stages = StreamStages([first, last])
    assert stages.feed(b"no gzip" if broken == 0 else b"BROKEN\n") == b"error by last"
    assert len(last.failed) == 1 and last.failed[0].startswith("502 ")
    assert stages.feed(b"more\n") == stages.flush() == stages.fail(504, "late") == b""
