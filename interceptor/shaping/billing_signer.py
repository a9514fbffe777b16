"""Signer of billing lines: the digests are taken over the very bytes that leave."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import HasShape
from providers.base.errors import ConfigError
from providers.wire.core.jsonio import dumps
from shapes.replay.billing_line import (
    ZEROS,
    BillingConstants,
    body_digest,
    find_line,
    first_user_text,
    signed,
    unsigned,
)
from shapes.replay.compiled_shape import EncryptedBilling

logger = logging.getLogger(__name__)

MAX_CONSTANTS = 8


class BillingSigner:
    """Signs bodies with constants that it decrypts once.

    Args:
        decrypt: returns the clear text of a stored constant; raises ConfigError. None: no
            constant can be read, so nothing is signed.
    """

    def __init__(self, decrypt: Callable[[str], str] | None = None) -> None:
        self._decrypt = decrypt
        self._constants: dict[EncryptedBilling, BillingConstants] = {}
        self._noticed: set[str] = set()

    def sign(self, active: HasShape, body: Body, *, only_broken: bool = False) -> str:
        """Sign the billing line of a body, if it has one; return why it was not signed, or "".

        The body's bytes are replaced, and are final then. With `only_broken` a line whose digest is
        right stays, and so does every byte.
        """
        parsed = body.peek()
        index = find_line(parsed) if isinstance(parsed, dict) else None
        if index is None:
            return ""
        billing = active.shape.billing
        if billing is None:
            self._notice_unset(active.shape.label)
        # A dry run has no key file.
        if billing is None or self._decrypt is None:
            return ""
        try:
            constants = self._read(billing, self._decrypt)
        except (ConfigError, ValueError) as exc:
            return f"the billing constants cannot be read: {exc}"
        if only_broken and _is_signed(parsed, index, body.decoded() or b"", constants):
            return ""
        # `written` are the bytes that the shape made, unless a hook replaced the body since.
        body.replace_plain(signed_bytes(parsed, index, constants, body.written()))
        return ""

    def _read(self, billing: EncryptedBilling, decrypt: Callable[[str], str]) -> BillingConstants:
        found = self._constants.get(billing)
        if found is None:
            found = BillingConstants(
                salt=_hex_bytes(decrypt(billing.salt)),
                seed=int(decrypt(billing.seed), 16),
                positions=billing.positions,
            )
            if len(self._constants) >= MAX_CONSTANTS:
                self._constants.clear()
            self._constants[billing] = found
        return found

    def _notice_unset(self, label: str) -> None:
        """Say once a version that its billing line leaves as it was captured."""
        if label not in self._noticed:
            self._noticed.add(label)
            logger.warning("shape %s: no billing constants; its billing line stays as it is", label)


def _hex_bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x").removeprefix("0X"))


def _is_signed(body: dict[str, Any], index: int, data: bytes, constants: BillingConstants) -> bool:
    """Return True if the digest is that of these bytes, in whatever form of JSON they are."""
    text = body["system"][index]["text"]
    zeroed, encoded = dumps(signed(text, ZEROS)), dumps(text)
    at = data.find(encoded)
    while at >= 0:
        rest = data[at + len(encoded) :]
        if signed(text, body_digest((data[:at], zeroed, rest), constants.seed)) == text:
            return True
        at = data.find(encoded, at + 1)
    return False


def signed_bytes(
    body: dict[str, Any], index: int, constants: BillingConstants, data: bytes | None = None
) -> bytes:
    """Return the bytes of a body with the digests in the billing line at `system[index]`.

    `data` are the bytes that `dumps` gave for the body, where they are at hand: encoding 1 MB again
    takes half as long as parsing it.
    """
    system = body["system"]
    text = system[index]["text"]
    line = unsigned(text, first_user_text(body), constants)
    old = dumps(text)
    at = _position(body, index, old, data) if data is not None else None
    if data is None or at is None:
        return _encoded_twice(body, index, line, constants)
    rest = memoryview(data)
    before, behind = rest[:at], rest[at + len(old) :]
    digest = body_digest((before, dumps(line), behind), constants.seed)
    return b"".join((before, dumps(signed(line, digest)), behind))


def _position(body: dict[str, Any], index: int, line: bytes, data: bytes) -> int | None:
    """Return where the line's JSON text begins in the body's bytes, or None where it does not.

    The same text may stand in a message, so it is not searched. Fields and blocks on one side are
    encoded, and their length counts: {"model":"m","system":[{"type":"text","text": → 42.
    """
    block = body["system"][index]
    fields = list(block)
    # The block is cut open in front of its text.
    opened = _length_opened({name: block[name] for name in fields[: fields.index("text")]})
    opened += len(b'"text":')
    names = list(body)
    split = names.index("system")
    if "messages" in names[:split]:
        # From the end: what follows is shorter than the messages before.
        following = {name: body[name] for name in names[split + 1 :]}
        blocks = len(dumps(body["system"][index:])) + _length_opened(following)
        at = len(data) - blocks + len(b"[") + opened
    else:
        preceding = {name: body[name] for name in names[:split]}
        at = _length_opened(preceding) + len(b'"system":')
        at += _length_opened(body["system"][:index]) + opened
    return at if data[at : at + len(line)] == line else None


def _length_opened(entries: dict[str, Any] | list[Any]) -> int:
    """Return the length of a container's JSON text when one more entry joins at an end.

    The closing bracket gives way to a comma: {"a":1} → {"a":1, is 7; {} → { is 1.
    """
    return len(dumps(entries)) if entries else 1


def _encoded_twice(
    body: dict[str, Any], index: int, line: str, constants: BillingConstants
) -> bytes:
    """Return the signed bytes the slow way: encoded with zeros, then with the digest."""
    system = list(body["system"])
    system[index] = {**system[index], "text": line}
    zeroed = dumps({**body, "system": system})
    system[index] = {**system[index], "text": signed(line, body_digest((zeroed,), constants.seed))}
    return dumps({**body, "system": system})


def without_digest(body: Body) -> bool:
    """Replace the digest of a billing line by zeros; return False where there is no line."""
    parsed = body.peek()
    index = find_line(parsed) if isinstance(parsed, dict) else None
    if index is None or not isinstance(parsed, dict):
        return False
    system = list(parsed["system"])
    system[index] = {**system[index], "text": signed(system[index]["text"], ZEROS)}
    body.replace_plain(dumps({**parsed, "system": system}))
    return True
