"""Table of the proxy's refusals: status and headers by kind of refusal and wire format.

A refusal that only a change of the configuration ends must not look like a hang. Measured with the
official programs (Claude Code 2.1, Codex 0.171, Gemini CLI 0.61; seconds until they stop):

| status, with `x-should-retry: false` | Claude Code | Codex  | Gemini CLI     |
|--------------------------------------|-------------|--------|----------------|
| 400                                  | at once     | 1      | at once        |
| 401, 403                             | at once     | 7      | at once        |
| 404                                  | at once,    | 7      | at once        |
|                                      | no sentence |        |                |
| 501, 502                             | at once     | 25     | 230            |

The SDKs of Anthropic and OpenAI obey the header; Google's retries nothing. So only a request that
matches nothing keeps its 501, and Responses, which Codex speaks, knows 400 alone.
A refused websocket upgrade makes Codex try seven times, or fail without a sentence (400). After
426 it sends the same request by POST at once, and shows what that is answered.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)

Headers = tuple[tuple[str, str], ...]

NO_RETRY: Headers = (("x-should-retry", "false"),)
"""Read by the SDKs of Anthropic and OpenAI before they look at the status."""
UPGRADE_STATUS = 426
UPGRADE: Headers = (("upgrade", "HTTP/1.1"),)
"""RFC 9110, 15.5.22."""


class Kind(StrEnum):
    """The reason of a refusal."""

    BAD_REQUEST = "bad request"
    """The request cannot be read or expressed."""
    BAD_KEY = "bad key"
    """The key names no provider, or the client token is unknown or missing."""
    OUT_OF_SCOPE = "out of scope"
    """The client token does not cover the provider, the run may not reach the host, or a rule sends
    a client's own credential elsewhere.
    """
    UNTRANSLATABLE = "untranslatable"
    """The provider speaks no format in which this endpoint exists."""
    UNUSABLE = "unusable"
    """The provider is switched off, or its credential is missing."""
    UNROUTED = "unrouted"
    """No rule matched, and the key is no sentinel key."""
    NO_WEBSOCKET = "no websocket"
    """The provider speaks no websockets."""
    FOREIGN_CALLER = "foreign caller"
    """A web page, or a name of this machine that is not configured."""
    BY_HOOK = "by hook"
    """A hook chose the status."""
    PASSING = "passing"
    """It may succeed in a moment."""


class Answer(NamedTuple):
    """Status and headers of a refusal."""

    status_code: int
    headers: Headers


NATURAL: dict[Kind, int] = {
    Kind.BAD_REQUEST: 400,
    Kind.BAD_KEY: 401,
    Kind.OUT_OF_SCOPE: 403,
    Kind.UNTRANSLATABLE: 501,
    Kind.UNUSABLE: 502,
    Kind.UNROUTED: 501,
    Kind.NO_WEBSOCKET: UPGRADE_STATUS,
    Kind.FOREIGN_CALLER: 403,
    Kind.BY_HOOK: 400,
    Kind.PASSING: 503,
}
"""Statuses for clients of no known format."""

_ENDS_ALL: dict[Kind, int] = {Kind.UNTRANSLATABLE: 400, Kind.UNUSABLE: 400}

BY_FORMAT: dict[WireFormatName, dict[Kind, int]] = {
    ANTHROPIC_MESSAGES: _ENDS_ALL,
    OPENAI_CHAT: _ENDS_ALL,
    OPENAI_RESPONSES: {**_ENDS_ALL, Kind.BAD_KEY: 400, Kind.OUT_OF_SCOPE: 400},
    GOOGLE_GENERATE: _ENDS_ALL,
}
"""Statuses that differ from `NATURAL`, by the client's format."""

_KEEPS_STATUS = frozenset({Kind.FOREIGN_CALLER, Kind.BY_HOOK, Kind.PASSING})
_RETRIED_STATUSES = frozenset({408, 409, 425, 429})


def answer_for(
    kind: Kind,
    wire_format: WireFormatName | None,
    *,
    status_code: int = 0,
    wants_websocket: bool = False,
) -> Answer:
    """Return the status and the headers of a refusal.

    Args:
        kind: of the refusal.
        wire_format: the client's.
        status_code: chosen by a hook or a rule about callers; 0 takes the table's.
        wants_websocket: the request is an upgrade.
    """
    if kind is Kind.NO_WEBSOCKET:
        return Answer(UPGRADE_STATUS, UPGRADE)
    if kind in _KEEPS_STATUS:
        status = status_code or NATURAL[kind]
        is_lasting = status < 500 and status not in _RETRIED_STATUSES
        return Answer(status, NO_RETRY if is_lasting else ())
    if wants_websocket and wire_format == OPENAI_RESPONSES:
        return Answer(UPGRADE_STATUS, UPGRADE)
    row = BY_FORMAT.get(wire_format, {}) if wire_format else {}
    return Answer(row.get(kind, NATURAL[kind]), NO_RETRY)


def kind_of_caller(status_code: int) -> Kind:
    """Return the kind of a refusal that was decided before the body is read."""
    kinds = {400: Kind.BAD_REQUEST, 401: Kind.BAD_KEY, 503: Kind.PASSING}
    return kinds.get(status_code, Kind.FOREIGN_CALLER)


def kind_of_route(status_code: int, *, has_provider: bool) -> Kind:
    """Return the kind of a routing decision that leads nowhere."""
    if status_code == NATURAL[Kind.OUT_OF_SCOPE]:
        return Kind.OUT_OF_SCOPE
    if status_code != NATURAL[Kind.UNROUTED]:
        return Kind.UNUSABLE
    return Kind.UNTRANSLATABLE if has_provider else Kind.UNROUTED


def kind_of_credential(status_code: int) -> Kind:
    """Return the kind of a credential's failure."""
    kinds = {401: Kind.BAD_KEY, 503: Kind.PASSING}
    return kinds.get(status_code, Kind.UNUSABLE)
