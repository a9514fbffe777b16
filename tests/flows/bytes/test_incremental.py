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
from hypothesis import given
from hypothesis import strategies as st

from flows.bytes.decode import decode
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


def _bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKED_DIFFERENTLY: dict[str, tuple[str, Callable[[list[bytes]], bytes]]] = {
    "gzip members": ("gzip", lambda parts: b"".join(map(gzip.compress, parts))),
    "padded members": ("x-gzip", lambda parts: b"\0\0".join(map(gzip.compress, parts))),
    "members, unnamed": ("", lambda parts: b"".join(map(gzip.compress, [b"..", *parts]))),
    "zstd frames": ("zstd", lambda parts: b"".join(map(zstandard.compress, parts))),
    "zlib": ("deflate", lambda parts: zlib.compress(b"".join(parts))),
    "bare deflate": ("Deflate", lambda parts: _bare_deflate(b"".join(parts))),
    "stacked": ("gzip, br", lambda parts: brotli.compress(gzip.compress(b"".join(parts)))),
    "stacked twice": (
        "deflate, zstd, identity, gzip",
        lambda parts: gzip.compress(zstandard.compress(zlib.compress(b"".join(parts)))),
    ),
}


@pytest.mark.parametrize("name", PACKED_DIFFERENTLY)
@given(parts=st.lists(st.binary(min_size=1, max_size=40), min_size=1), step=st.integers(1, 50))
def test_any_pieces_give_what_the_whole_body_gives(
    name: str, parts: list[bytes], step: int
) -> None:
    encoding, pack = PACKED_DIFFERENTLY[name]
    packed = pack(parts)
    decoder = IncrementalDecoder(encoding)
    pieces = [decoder.feed(packed[at : at + step]) for at in range(0, len(packed), step)]
    whole = decode(packed, encoding)
    assert whole.complete
    assert b"".join(pieces) == whole.data
    assert whole.data.endswith(b"".join(parts))


@pytest.mark.parametrize("encoding", ["foo", "gzip, foo", "gzip, gzip, gzip, gzip, gzip"])
def test_what_cannot_be_undone_is_said(encoding: str) -> None:
    with pytest.raises(ValueError, match="not known"):
        IncrementalDecoder(encoding).feed(b"some bytes")


def test_what_follows_a_gzip_member_and_is_none_is_left_out() -> None:
    decoder = IncrementalDecoder("gzip")
    pieces = [gzip.compress(b"a"), b"\x1f", b"\x8c rest", gzip.compress(b"b")]
    assert [decoder.feed(piece) for piece in pieces] == [b"a", b"", b"", b"b"]


def test_a_bomb_inside_another_encoding_is_cut() -> None:
    packed = gzip.compress(brotli.compress(bytes(BOMB_BYTES), quality=9))
    decoder = IncrementalDecoder("br, gzip")
    assert len(decoder.feed(packed)) <= FREE_BYTES + len(packed) * MAX_RATIO
    assert decoder.capped


def test_a_translated_stream_ends_with_an_error() -> None:
    context = AnswerContext(client_body={}, model="m")
    translation = Translation(ANTHROPIC_MESSAGES, OPENAI_CHAT, True, context)
    stages = translation.open_stream("gzip")
    answer = stages.feed(gzip.compress(b"data: " + bytes(BOMB_BYTES)))
    assert b"decompresses to more than it may" in answer
    assert stages.feed(b"more") == b""
    assert stages.flush() == b""
