"""What lets the console send a recorded request again: a secret that the guard takes once. No
Django.

The console, which may be another process on another machine, writes a grant into the database and
sends the request to the listener like any client, with the grant's token in a header. The guard
redeems the token, so that it is worth nothing afterwards; a token nobody issued, an old one, or one
that was used before is refused.
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
    """What a token allows.

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
    """Knows the grants. Called on the proxy's event loop: it must not block it."""

    async def redeem(self, token: str, flow_id: str) -> Grant | None:
        """Use the grant up for this flow; None for an unknown, expired or used one."""


class NoGrants:
    """The book of a proxy without a console."""

    async def redeem(self, token: str, flow_id: str) -> Grant | None:
        del token, flow_id
        return None


def is_token(text: str) -> bool:
    """Whether it looks like a token; everything else is not worth a question to the database."""
    return _TOKEN.fullmatch(text) is not None


def token_digest(token: str) -> str:
    """What is stored of a token."""
    return sha256(token.encode()).hexdigest()
