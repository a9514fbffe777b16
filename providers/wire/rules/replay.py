"""Reasoning of one vendor, carried through another vendor's client until the next turn.

Three ways, the first that fits: inside the id of a tool call (clients return ids unchanged, so any
process and restart can read it), inside the signature or encrypted field of the client's format,
and a bounded store if the format has no such field. The marks that are left in the history are
`ID_MARKS`, `SEAL` and `PACKED`; a client's own vendor never gets them (`providers.wire.marks`).
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from providers.base.names import OPENAI_CHAT, WIRE_FORMATS, WireFormatName
from providers.wire.core.ir import Thinking
from providers.wire.core.jsonio import dumps, loads

_ID_MARK: Final = "__sig_"
END_MARK: Final = "__n_"
"""Precedes the random end of an id that a server would repeat (`call_ids`)."""
ID_MARKS: Final = (_ID_MARK, END_MARK)
SEAL: Final = "ccproxy1:"
PACKED: Final = base64.b64encode(SEAL.encode()).decode()
"""Beginning of Google's signature field when it holds another vendor's reasoning."""
MAX_SIGNATURE_IN_ID: Final = 2048
SKIP_SIGNATURE_CHECK: Final = "skip_thought_signature_validator"
"""Google's documented stand-in for a signature that is not known (Gemini API, "Thought signatures",
FAQ).
"""


class ReplayStore:
    """Bounded store. Drops the oldest entries if there are too many or they are too large."""

    def __init__(self, *, max_entries: int = 20_000, max_chars: int = 64 * 1024 * 1024) -> None:
        self._entries: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._chars = 0
        self._max_entries = max_entries
        self._max_chars = max_chars
        self.on_put: Callable[[str, Any], None] | None = None
        """Called with each new entry, so that it may be kept for other processes."""

    def put(self, key: str, value: Any, chars: int) -> None:
        """Store `value`, which weighs about `chars` characters."""
        self.adopt(key, value, chars)
        if self.on_put is not None and chars <= self._max_chars:
            self.on_put(key, value)

    def adopt(self, key: str, value: Any, chars: int) -> None:
        """Store an entry that another process made."""
        if chars > self._max_chars:
            return
        self._forget(key)
        self._entries[key] = (value, chars)
        self._chars += chars
        while len(self._entries) > self._max_entries or self._chars > self._max_chars:
            self._forget(next(iter(self._entries)))

    @property
    def is_empty(self) -> bool:
        """True while nothing waits."""
        return not self._entries

    def get(self, key: str) -> Any | None:
        """Return the value under the key, or None."""
        if (found := self._entries.get(key)) is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def clear(self) -> None:
        """Forget all entries."""
        self._entries.clear()
        self._chars = 0

    def _forget(self, key: str) -> None:
        if (found := self._entries.pop(key, None)) is not None:
            self._chars -= found[1]


STORE: Final = ReplayStore()
"""The store of this process. The database has its entries for the other ones, and after a start."""


def entry_text(value: Any) -> str:
    """Return an entry of the store as text: a signature, or packed reasoning."""
    return value if isinstance(value, str) else pack_thoughts(value)


def entry_value(text: str) -> Any:
    """Return an entry of the store from its text."""
    unpacked = unpack_thoughts(text)
    return text if unpacked is None else unpacked


def text_key(text: str) -> str:
    """Return the key for a text that the client will send back unchanged."""
    return "text:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def carry_in_id(call_id: str, signature: str, store: ReplayStore = STORE) -> str:
    """Put the signature into the id: ("call_1", "a+b=") → "call_1__sig_a-b".

    A long or unusual signature goes to the store under the plain id.
    """
    # Ids take no `+`, `/` or `=`, so base64 becomes its URL-safe form without padding.
    packed = signature.replace("+", "-").replace("/", "_").rstrip("=")
    is_reversible = packed.isascii() and _unpacked(packed) == signature
    if is_reversible and len(signature) <= MAX_SIGNATURE_IN_ID:
        return f"{call_id}{_ID_MARK}{packed}"
    store.put("id:" + call_id, signature, len(signature))
    return call_id


def read_id(call_id: str, store: ReplayStore = STORE) -> tuple[str, str | None]:
    """Split an id into the plain id and the signature inside it, if any."""
    if _ID_MARK in call_id:
        plain, _, packed = call_id.partition(_ID_MARK)
        return plain, _unpacked(packed)
    if store.is_empty:
        return call_id, None
    # The store may have lost it, or the proxy was started again: then the call goes unsigned.
    signature = store.get("id:" + call_id)
    if not isinstance(signature, str):
        return call_id, None
    return call_id, signature


def _unpacked(packed: str) -> str:
    standard = packed.replace("-", "+").replace("_", "/")
    # Base64 is padded to a multiple of four characters.
    return standard + "=" * (-len(standard) % 4)


class Sealed(NamedTuple):
    """Another vendor's signature, taken out of the client's own signature field."""

    vendor: WireFormatName
    signature: str
    block_id: str | None
    redacted: bool


def seal(
    vendor: WireFormatName, signature: str, block_id: str | None = None, *, redacted: bool = False
) -> str:
    """Wrap another vendor's signature for the client's own signature field.

    (OpenAI Responses, "gAAA", "rs_1") → "ccproxy1:openai_responses:0:rs_1:gAAA"
    """
    return f"{SEAL}{vendor}:{int(redacted)}:{block_id or ''}:{signature}"


def unseal(value: str) -> Sealed | None:
    """Unwrap a sealed signature, or return None for a vendor's own."""
    if not value.startswith(SEAL):
        return None
    # The signature comes last, because it may hold colons.
    parts = value.split(":", 4)
    if len(parts) != 5:
        return None
    _, name, redacted, block_id, signature = parts
    for vendor in WIRE_FORMATS:
        if vendor == name:
            return Sealed(vendor, signature, block_id or None, redacted == "1")
    return None


def sealed_thinking(block: Thinking) -> str:
    """Seal another vendor's reasoning; one without any signature is marked all the same."""
    if block.vendor is None:
        return block.signature or ""
    return seal(block.vendor, block.signature or "", block.id, redacted=block.redacted)


def pack_thoughts(blocks: Sequence[Thinking]) -> str:
    """Pack other vendors' reasoning for Google's signature field, which clients return as it is.

    [] → "Y2Nwcm94eTE6W10=": a call that Google did not make is marked in any case.
    """
    entries = [[b.vendor, b.redacted, b.id, b.signature, b.text] for b in blocks]
    return base64.b64encode(SEAL.encode() + dumps(entries)).decode("ascii")


def unpack_thoughts(signature: str) -> list[Thinking] | None:
    """Unpack `pack_thoughts`; None for a signature of Google's own."""
    if not signature.startswith(PACKED):
        return None
    # SDKs write base64 in the URL-safe alphabet, or without padding.
    standard = signature.replace("-", "+").replace("_", "/")
    padded = standard + "=" * (-len(standard) % 4)
    try:
        entries = loads(base64.b64decode(padded)[len(SEAL) :])
        return [Thinking(e[4], e[3], e[0], bool(e[1]), e[2]) for e in entries]
    except (ValueError, TypeError, IndexError):
        return []


def made_at(field: str, host: str) -> str:
    """Return the id of a Chat server's plain reasoning: ("reasoning", "a.b") → "reasoning@a.b"."""
    return f"{field}@{host.replace(':', '_')}"


def came_from(block: Thinking, host: str) -> bool:
    """Check whether a Chat server made this reasoning; other servers refuse the field.

    An unknown host on either side may be the same.
    """
    _, _, maker = (block.id or "").partition("@")
    return not host or not maker or maker == host.replace(":", "_")


def field_of(block: Thinking) -> str:
    """Return the field in which a Chat server sent its reasoning, and takes it back."""
    field = (block.id or "").partition("@")[0]
    return field if block.vendor == OPENAI_CHAT and field else "reasoning_content"
