"""A stream that unfolds to far more than came is cut, however it is packed; ordinary ones are
not.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from functools import partial

import brotli
import pytest
import zstandard

from flows.bytes.incremental import FREE_BYTES, MAX_RATIO, IncrementalDecoder
from interceptor.transform.translation import Translation
from providers.base.names import ANTHROPIC_MESSAGES, OPENAI_CHAT
from providers.wire.translate import AnswerContext

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    # The usual quality 11 takes seconds here, and packs these repetitions less tightly.
    "br": partial(brotli.compress, quality=9),
    "zstd": zstandard.compress,
}
BOMB_BYTES = 48 * 1024 * 1024


@pytest.mark.parametrize("encoding", PACK)
def test_one_piece_never_unfolds_far(encoding: str) -> None:
    packed = PACK[encoding](bytes(BOMB_BYTES))
    decoder = IncrementalDecoder(encoding)
    longest, total = 0, 0
    for at in range(0, len(packed), 4096):
        out = decoder.feed(packed[at : at + 4096])
        longest, total = max(longest, len(out)), total + len(out)
    assert decoder.capped
    assert longest <= FREE_BYTES + 4096 * MAX_RATIO
    assert total <= FREE_BYTES + len(packed) * MAX_RATIO


@pytest.mark.parametrize("encoding", PACK)
def test_a_repetitive_stream_passes_whole(encoding: str) -> None:
    event = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "word "},
    }
    plain = b"".join(
        f"event: x\ndata: {json.dumps({**event, 'n': n})}\n\n".encode() for n in range(20_000)
    )
    packed = PACK[encoding](plain)
    decoder = IncrementalDecoder(encoding)
    assert (
        b"".join(decoder.feed(packed[at : at + 1000]) for at in range(0, len(packed), 1000))
        == plain
    )
    assert not decoder.capped


def test_a_translated_stream_ends_with_an_error() -> None:
    context = AnswerContext(client_body={}, model="m")
    translation = Translation(ANTHROPIC_MESSAGES, OPENAI_CHAT, True, context)
    stages = translation.open_stream("gzip")
    answer = stages.feed(gzip.compress(b"data: " + bytes(BOMB_BYTES)))
    assert b"decompresses to more than it may" in answer
    assert stages.feed(b"more") == b""
    assert stages.flush() == b""
