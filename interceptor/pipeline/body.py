"""Body of a request: parsed at most once, and written again only when a hook changed it."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import brotli
import zstandard

from flows.bytes.decode import MAX_LAYERS, decode, layers
from providers.wire.core.framed_json import FRAMES, Frame, frame_of
from providers.wire.core.jsonio import dumps, loads_request

ENCODINGS = frozenset({"gzip", "deflate", "br", "zstd"})
"""Encodings that can be undone and applied again; a body in any other is forwarded unread."""

OFF_LOOP_BYTES = 16 * 1024
"""A compressed body over this size is decoded in a thread."""

_THREADS = ThreadPoolExecutor(1, "body-decoder")
_UNSET: Any = object()


class Body:
    """The bytes as they came, and their JSON on demand.

    `data` is what leaves the proxy. Until `write_back` finds that the JSON differs, it is the
    client's own bytes.
    """

    __slots__ = (
        "_before", "_canonical", "_frame", "_json", "_replacement",
        "data", "encoding", "plain", "problem", "repaired", "touched",
    )  # fmt: skip

    def __init__(self, data: bytes, encoding: str = "") -> None:
        self.data = data
        self.encoding = encoding.strip().lower()
        # Without a header nothing was applied, so no magic number is looked at.
        is_plain = not self.encoding or not layers(self.encoding, b"")
        self.plain: bytes | None = data if is_plain else _UNSET
        self.touched = False
        self.problem = ""
        """The reason why there is no JSON, as a sentence, once `peek` was called."""
        self.repaired = False
        """Characters that are no Unicode are U+FFFD in the JSON; `data` still has them."""
        self._json: Any = _UNSET
        self._canonical: bytes | None = None
        self._frame: Frame | None = None
        """What stands around the conversation in the bytes, if they were parsed so."""
        self._before: bytes | None = None
        """Plain bytes that `replace_json` replaced, until they are written back."""
        self._replacement: bytes | None = None
        """Bytes that `replace_json` made."""

    @classmethod
    def of_json(cls, value: Any) -> Body:
        """Return a body of a JSON value; its bytes are made when they are asked for."""
        body = cls(b"")
        body._json = value
        return body

    def decoded(self) -> bytes | None:
        """Return the body without its content encoding; None where that fails."""
        if self.plain is _UNSET:
            applied = layers(self.encoding, self.data)
            known = len(applied) <= MAX_LAYERS and ENCODINGS.issuperset(applied)
            decoded = decode(self.data, self.encoding) if known else None
            self.plain = decoded.data if decoded and decoded.complete else None
        return self.plain

    async def decode_off_loop(self) -> bool:
        """Decode a compressed body ahead of its first use, in a thread when it is large.

        One thread serves the process: compression bombs that come together are decoded one after
        the other. Returns False when the body cannot be decoded.
        """
        if self.plain is _UNSET and len(self.data) > OFF_LOOP_BYTES:
            await asyncio.get_running_loop().run_in_executor(_THREADS, self.decoded)
        return self.decoded() is not None

    @property
    def json(self) -> Any:
        """The parsed body, the same object every time; None when it is not JSON.

        Reading it marks the body as touched.
        """
        self.touched = True
        return self.peek()

    @json.setter
    def json(self, value: Any) -> None:
        self.canonical()
        self.touched = True
        self._json = value

    def peek(self) -> Any:
        """Return the parsed body, for reading only."""
        if self._json is _UNSET:
            self._json = self._parsed()
        return self._json

    def _parsed(self) -> Any:
        """Return the parsed body or None, and note what is wrong with it."""
        plain = self.decoded()
        self.problem, self.repaired = "", False
        if plain is None:
            self.problem = (
                f"The body's content encoding ({self.encoding[:40]}) is unknown, or the compressed"
                " bytes are damaged."
            )
            return None
        if not plain.strip():
            self.problem = "The request has no body."
            return None
        if (framed := FRAMES.parse(plain)) is not None:
            value, self._frame = framed
            return value
        try:
            value, self.repaired = loads_request(plain)
        except ValueError as exc:
            self.problem = f"The request's body is no JSON: {str(exc)[:200]}."
            return None
        except RecursionError:
            self.problem = "The request's body is nested too deeply."
            return None
        return value

    def canonical(self) -> bytes | None:
        """Return the JSON as compact bytes, as of the last write-back; None when the body is not
        JSON.
        """
        if self._canonical is None and self.peek() is not None:
            self._canonical = dumps(self._json)
        return self._canonical

    def replace_json(self, value: Any) -> None:
        """Replace the parsed body by another one, for hooks that replace nearly all of it.

        Its bytes are made once. The setter of `json` makes them twice, to compare them. A
        conversation that is the same object in both is copied: it was not changed in place, or the
        change was written back before.
        """
        before = self.decoded() or b""
        made = self._with_copied_conversation(value, before)
        # Copied bytes may have another form than ours: other escapes, other numbers.
        self._canonical = dumps(value) if made is None else None
        self._replacement = self._canonical if made is None else made
        self._json, self._before, self.touched = value, before, True
        self._frame = None

    def _with_copied_conversation(self, value: Any, plain: bytes) -> bytes | None:
        """Return the bytes of a new body, or None where they have to be made."""
        if self.touched or not isinstance(value, dict) or not isinstance(self._json, dict):
            return None
        frame = self._frame
        # Bytes of our own have no second key, so that their parts may be searched.
        if frame is None and plain is self._canonical:
            frame = frame_of(self._json)
        elif frame is None:
            FRAMES.learn(self._json, plain)
        if frame is None or value.get(frame.name) is not self._json.get(frame.name):
            return None
        around = frame_of(value)
        if around is None or around.name != frame.name or not frame.fits(plain):
            return None
        return around.filled(frame.inside(plain))

    def written(self) -> bytes | None:
        """Return the plain bytes if `dumps` made them, the conversation aside, else None."""
        is_ours = self.plain is self._canonical or self.plain is self._replacement
        return self.plain if is_ours else None

    def write_back(self) -> tuple[bytes, bytes] | None:
        """Take changes of the JSON into `data`.

        Returns (before, after) as plain JSON bytes when something changed, else None.
        """
        self.touched = False
        if self._before is not None and self._replacement is not None:
            replaced, self._before = self._before, None
            if replaced == self._replacement:
                return None
            self.plain = self._replacement
            self.data = encode(self._replacement, self.encoding)
            return replaced, self._replacement
        if self._json is _UNSET or self._json is None:
            return None
        before, after = self._canonical, dumps(self._json)
        # Rare: a hook replaced the body without reading it first. Parsing the old one only then is
        # cheaper than keeping a canonical copy of every body.
        if before is None:
            before = dumps(self._parsed())
        if before == after:
            return None
        self._frame = None
        shown_before = self.decoded() or before
        self._canonical = self.plain = after
        self.data = encode(after, self.encoding)
        return shown_before, after

    def replace_plain(self, plain: bytes) -> None:
        """Replace the bytes, in the same content encoding; their JSON is parsed when it is asked
        for.
        """
        self.plain, self._json, self._canonical, self.touched = plain, _UNSET, None, False
        self._before = self._replacement = self._frame = None
        self.data = encode(plain, self.encoding)

    def revert(self) -> None:
        """Forget changes of the JSON since the last write-back."""
        self._json, self._canonical, self.touched = _UNSET, None, False
        self._before = self._replacement = self._frame = None


def encode(plain: bytes, encoding: str) -> bytes:
    """Apply content encodings in their order (RFC 9110, 8.4); an unknown one is left out."""
    for name in reversed(layers(encoding, b"")):
        plain = _encoded(plain, name)
    return plain


def _encoded(plain: bytes, name: str) -> bytes:
    match name:
        case "gzip":
            return gzip.compress(plain, compresslevel=6, mtime=0)
        case "deflate":
            return zlib.compress(plain)
        case "br":
            return bytes(brotli.compress(plain, quality=4))
        case "zstd":
            return zstandard.ZstdCompressor(level=3).compress(plain)
        case _:
            return plain
