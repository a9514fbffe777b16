"""Some of mitmproxy's habits that cost a fifth of a small request's CPU time, done in another way.

Its `Headers` decodes and lower-cases every field for each look-up, of which there are thirty a
request, and a header that is missing costs an exception. Every message's attributes are checked
against their annotations when it is made, for scripts that set them; what comes out of its own
parsers is right. Every stream makes a server connection, with an id, that is thrown away at once.
And an id costs a system call and an object. Written against mitmproxy 12.2.
"""

from __future__ import annotations

import os
from typing import Any

from mitmproxy import connection, flow
from mitmproxy.http import Headers, MessageData
from mitmproxy.proxy.context import Context

_INDEX = "_ccproxy_index"
_ID_BYTES = 16
_POOL_BYTES = 256 * _ID_BYTES


def install() -> None:
    """Use these for every message of this process."""
    headers: Any = Headers
    headers.get, headers.__getitem__, headers.__contains__ = _get, _getitem, _contains
    message: Any = MessageData
    message.__post_init__ = _unchecked
    context: Any = Context
    context.fork = _fork
    for module in (flow, connection):
        names: Any = module
        names.uuid = _Ids()


class _Ids:
    """In place of the module `uuid`: random ids as text (RFC 9562, 5.4), whose bytes are fetched
    many at a time.
    """

    def __init__(self) -> None:
        self._pool = b""
        self._place = 0

    def uuid4(self) -> str:
        """A new id."""
        start = self._place
        if start >= len(self._pool):
            self._pool, start = os.urandom(_POOL_BYTES), 0
        self._place = start + _ID_BYTES
        text = self._pool[start : self._place].hex()
        variant = "89ab"[int(text[16], 16) & 3]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def _fork(self: Context) -> Context:
    twin = Context.__new__(Context)
    twin.client, twin.options, twin.server, twin.layers = (
        self.client,
        self.options,
        self.server,
        self.layers.copy(),
    )
    return twin


def _get(self: Headers, name: str | bytes, default: Any = None) -> Any:
    wanted = (name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")).lower()
    found = _index(self).get(wanted)
    return b", ".join(found).decode("utf-8", "surrogateescape") if found else default


def _index(headers: Headers) -> dict[bytes, list[bytes]]:
    """The values by lower-case name; good as long as the fields are this very tuple."""
    fields = headers.fields
    kept: tuple[Any, dict[bytes, list[bytes]]] | None = headers.__dict__.get(_INDEX)
    if kept is not None and kept[0] is fields:
        return kept[1]
    index: dict[bytes, list[bytes]] = {}
    for key, value in fields:
        index.setdefault(key.lower(), []).append(value)
    headers.__dict__[_INDEX] = fields, index
    return index


def _getitem(self: Headers, name: str | bytes) -> str:
    value: str | None = _get(self, name)
    if value is None:
        raise KeyError(name)
    return value


def _contains(self: Headers, name: object) -> bool:
    return isinstance(name, str | bytes) and _get(self, name) is not None


def _unchecked(self: MessageData) -> None:
    """In place of the type check."""
