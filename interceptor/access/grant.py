"""Grants with which the console resends a recorded request. No Django.

The console, which may be another process on another machine, writes a grant into the database and
sends the request to the listener like any client, with the grant's token in a header. The guard
redeems the token, so that it is worth nothing afterwards. An unknown, old or used token ends the
request with 403.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

HEADER = "x-ccproxy-resend"
TOKEN_PREFIX = "ccr-"  # noqa: S105  # a prefix by which people recognise the kind, not a secret
_TOKEN = re.compile(r"ccr-[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Grant:
    """Permission of a token.

    Empty `provider` and `origin`: the request goes through the whole pipeline.
    """

    ticket: str
    as_forwarded: bool = False
    """Straight to `provider` at `origin`: no hook and no rule sees it, the credential is put in
    anew.
    """
    provider: str = ""
    origin: str = ""
    """Scheme, host and port it was forwarded to: `https://api.example:443`."""
    session_id: str = ""


class GrantBook(Protocol):
    """Book of grants. Called on the proxy's event loop, which it must not block."""

    async def redeem(self, token: str, flow_id: str) -> Grant | None:
        """Use the grant up for this flow. None for an unknown, expired or used one."""


class NoGrants:
    """Book of a proxy without a console."""

    async def redeem(self, token: str, flow_id: str) -> Grant | None:
        del token, flow_id
        return None


def is_token(text: str) -> bool:
    """Return whether a value looks like a token; other values are not looked up in the database."""
    return _TOKEN.fullmatch(text) is not None


def token_digest(token: str) -> str:
    """Return the stored digest of a token."""
    return sha256(token.encode()).hexdigest()
