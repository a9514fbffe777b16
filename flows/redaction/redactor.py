"""Keeps secrets out of everything that is stored, logged or shown. Pure: no Django, no mitmproxy.

Two ways at once. By name: headers, query parameters and fields of JSON bodies
(`flows.redaction.json_fields`) that carry credentials lose their value. By value: every secret this
process ever resolved, and every credential that passed by in such a header, is cut out wherever it
stands, whole, in pieces of 14 characters or more, and in the encodings that
`flows.redaction.scanner` lists. A secret that a stream spells in pieces shorter than that, one
event each, is not found in the raw bytes.

A cut-out secret becomes ‹redacted 3f9a21›: the same secret always leaves the same mark. Sentinel
keys are public and stay readable.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import unquote, unquote_plus

from flows.bytes.decode import decode, layers
from flows.record import Headers
from flows.redaction.credential_names import COOKIE_HEADERS, URL_HEADERS
from flows.redaction.credential_names import CREDENTIAL_PARAMS as CREDENTIAL_PARAMS
from flows.redaction.credential_names import is_credential_header as is_credential_header
from flows.redaction.incremental_search import Known, Searched, Secrets
from flows.redaction.json_fields import without_named
from flows.redaction.memo import Seen
from flows.redaction.scanner import Needles, merged
from providers.auth.registry import SecretRegistry
from providers.auth.sentinel import provider_of

LEARNED_SECRETS = 64
LEARNED_ENCODED = 4
"""How many of the newest are found in every encoding; the others plain and JSON-escaped, which
needs less memory.
"""
LEARN_FROM_CHARS = 16
"""A passing credential shorter than this, or without a digit, may be an ordinary word: it is
redacted by name only.
"""

CUT_BYTES = 1024 * 1024
"""What is kept of a body that decodes to more than the cap: this much, decoded."""

_TOKEN_BODY_BYTES = 64 * 1024
_MARK = re.compile(r"‹redacted [0-9a-f]{6}›")
_SCHEME = re.compile(r"(?i)(bearer|basic|digest|token|negotiate|apikey|aws4-hmac-sha256)\s+(?=\S)")
_PARAM = re.compile(r"([?&#;])([^=&#;?\s\"'<>]+)=([^&#;\s\"'<>]+)")
_USERINFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)([^/@?#\s]+)@")
_WS_KEY = re.compile(r"(?<=openai-insecure-api-key\.)[^,\s]+")
_LOGGED_CREDENTIAL = re.compile(r"(?i)(\b(?:bearer|basic)\s+)([\w.~+/=-]{12,})")
_LOGIN_PATH = re.compile(r"(/login/)([\w-]{20,})")
_TOKEN_IN_JSON = re.compile(
    rb'"(?:access_token|refresh_token|id_token|client_secret)"\s*:\s*"([^"\\]{16,8192})"'
)
_TOKEN_IN_FORM = re.compile(
    rb"(?:^|&)(?:refresh_token|client_secret|code|code_verifier|assertion)=([^&\s]{16,8192})"
)


@dataclass(frozen=True, slots=True)
class Edit:
    """data[start:end] was replaced by `length` bytes."""

    start: int
    end: int
    length: int


@dataclass(frozen=True, slots=True)
class RedactedBody:
    """A body without secrets.

    `decoded`: its content encoding was undone, because it hid a secret.
    """

    data: bytes
    redacted: bool = False
    decoded: bool = False
    truncated: bool = False
    edits: tuple[Edit, ...] = ()
    searched: Searched | None = field(default=None, repr=False, compare=False)
    """For the search of a body that is like it; None when that would not help."""

    def moved(self, offset: int) -> int:
        """Where a position of the original (not decoded) bytes is now."""
        shift = 0
        for edit in self.edits:
            if edit.start >= offset:
                break
            shift += edit.length - (min(edit.end, offset) - edit.start)
        return offset + shift


class Redactor:
    """Cuts secrets out. Safe to share between threads."""

    def __init__(self, registry: SecretRegistry) -> None:
        self._registry = registry
        self._learned: OrderedDict[str, None] = OrderedDict()
        self._learned_version = 0
        self._lock = Lock()
        self._known: frozenset[str] = frozenset()
        self._secrets = Secrets()
        self._seen_texts: Seen[str, str] = Seen()
        self._seen_urls: Seen[str, str] = Seen()
        self._seen_headers: Seen[tuple[str, str], str] = Seen()
        self._learned_from: Seen[tuple[str, str], tuple[str, ...]] = Seen()

    @property
    def version(self) -> tuple[int, int]:
        """Changes whenever another secret becomes known."""
        return self._registry.version, self._learned_version

    def data(self, value: bytes) -> tuple[bytes, bool]:
        """`value` without secrets, and whether anything was cut out."""
        data, edits, _ = self._cut(value)
        return data, bool(edits)

    def text(self, value: str) -> str:
        """`value` without the secrets known by value."""
        seen = self._seen_texts.at(self.version)
        if (found := seen.get(value)) is not None:
            return found
        data, edits, _ = self._cut(value.encode("utf-8", "surrogatepass"))
        return seen.put(
            value, data.decode("utf-8", "surrogatepass") if edits else value, len(value)
        )

    def line(self, value: str) -> str:
        """A line for the log: by value, and whatever looks like a credential in a header, a field
        or a query.
        """
        value = _LOGGED_CREDENTIAL.sub(
            lambda match: match[1] + self._unless_sentinel(match[2]), value
        )
        value = without_named(
            _LOGIN_PATH.sub(lambda match: match[1] + mark(match[2]), value), self._unless_sentinel
        )
        return self.text(_PARAM.sub(self._param, value))

    def url(self, value: str) -> str:
        """A URL without passwords, credential parameters and secrets."""
        if "=" not in value and "@" not in value:
            return self.text(value)
        seen = self._seen_urls.at(self.version)
        if (found := seen.get(value)) is not None:
            return found
        shown = _USERINFO.sub(lambda match: f"{match[1]}{mark(match[2])}@", value)
        return seen.put(value, self.text(_PARAM.sub(self._param, shown)), len(value))

    def headers(self, headers: Headers) -> list[list[str]]:
        """Names and values in order, values without secrets."""
        seen = self._seen_headers.at(self.version)
        return [
            [
                name,
                self.header(name, value) if (found := seen.get((name, value))) is None else found,
            ]
            for name, value in headers
        ]

    def header(self, name: str, value: str) -> str:
        """One header's value without secrets."""
        seen = self._seen_headers.at(self.version)
        return seen.put((name, value), self._header(name.lower(), value), len(name) + len(value))

    def _header(self, name: str, value: str) -> str:
        if name in COOKIE_HEADERS:
            return self.text(_cookie(name, value))
        if name == "sec-websocket-protocol":
            value = _WS_KEY.sub(lambda match: self._unless_sentinel(match[0]), value)
        elif is_credential_header(name, value):
            scheme = match[0] if (match := _SCHEME.match(value)) else ""
            return scheme + self._unless_sentinel(value[len(scheme) :])
        return self.url(value) if name in URL_HEADERS else self.text(value)

    def body(
        self, value: bytes, content_encoding: str = "", known: Known | None = None
    ) -> RedactedBody:
        """A body without secrets: the exact bytes when there is none inside, even under its content
        encoding.

        What is `known` of an earlier body is not looked for again, when that was searched for the
        secrets of now.
        """
        if layers(content_encoding, value):
            return self._encoded_body(value, content_encoding)
        self._learn_tokens(value)
        data, edits, searched = self._cut(value, known)
        return RedactedBody(data, redacted=bool(edits), edits=edits, searched=searched)

    def learn(self, headers: Headers) -> None:
        """Remember the credentials in `headers`, so that an echo of them is cut out by value
        too.
        """
        seen = self._learned_from.at(None)
        for name, value in headers:
            if (found := seen.get((name, value))) is None:
                found = seen.put(
                    (name, value), _credentials(name.lower(), value), len(name) + len(value)
                )
            for credential in found:
                self._remember(credential)

    def learn_url(self, url: str) -> None:
        """Remember the credentials in a URL's query."""
        for _, name, value in _PARAM.findall(url) if "=" in url else ():
            if unquote_plus(name).lower() in CREDENTIAL_PARAMS:
                self._remember(unquote(value))

    def _encoded_body(self, value: bytes, content_encoding: str) -> RedactedBody:
        decoded = decode(value, content_encoding)
        self._learn_tokens(decoded.data)
        data, edits, _ = self._cut(decoded.data)
        if decoded.capped:
            # Whatever lies behind the cap was not looked at, so the compressed original cannot be
            # kept.
            return RedactedBody(
                data[:CUT_BYTES], redacted=bool(edits), decoded=True, truncated=True
            )
        if edits and decoded.data is not value:
            return RedactedBody(data, redacted=True, decoded=True)
        data, edits, _ = self._cut(value)
        return RedactedBody(data, redacted=bool(edits), edits=edits)

    def _cut(
        self, value: bytes, known: Known | None = None
    ) -> tuple[bytes, tuple[Edit, ...], Searched | None]:
        """What is left, what was cut out, and what another search may use."""
        hits, searched = self._current_secrets().search(value, known)
        hits = [hit for hit in hits if not _is_sentinel(hit.secret)]
        if not hits:
            return value, (), searched
        pieces: list[bytes] = []
        edits: list[Edit] = []
        position = 0
        for hit in merged(hits):
            replacement = mark(hit.secret).encode()
            pieces += (value[position : hit.start], replacement)
            edits.append(Edit(hit.start, hit.end, len(replacement)))
            position = hit.end
        return b"".join((*pieces, value[position:])), tuple(edits), searched

    def _current_secrets(self) -> Secrets:
        version = self.version
        if self._secrets.version != version:
            with self._lock:
                before = self._secrets
                new = {
                    value
                    for value in self._registry.values - self._known
                    if not _is_sentinel(value)
                }
                self._known = self._known | self._registry.values
                registered = (
                    before.registered.with_secrets(sorted(new)) if new else before.registered
                )
                passing = list(self._learned)
                learned = Needles(passing[:-LEARNED_ENCODED], encoded=False)
                learned = learned.with_secrets(passing[-LEARNED_ENCODED:], encoded=True)
                self._secrets = Secrets(version, before.number + 1, registered, learned)
        return self._secrets

    def _remember(self, value: str) -> None:
        if not _may_be_learned(value):
            return
        with self._lock:
            if value in self._learned:
                self._learned.move_to_end(value)
                return
            if value in self._registry.values:
                return
            self._learned[value] = None
            if len(self._learned) > LEARNED_SECRETS:
                self._learned.popitem(last=False)
            self._learned_version += 1

    def _learn_tokens(self, body: bytes) -> None:
        if len(body) > _TOKEN_BODY_BYTES:
            return
        # Looking for the ends of the names first takes a tenth of the pattern's time.
        for token in (
            _TOKEN_IN_JSON.findall(body) if b'_token"' in body or b'_secret"' in body else ()
        ):
            self._remember(token.decode("utf-8", "replace"))
        for token in _TOKEN_IN_FORM.findall(body) if b"grant_type=" in body else ():
            self._remember(unquote_plus(token.decode("utf-8", "replace")))

    def _param(self, match: re.Match[str]) -> str:
        if unquote_plus(match[2]).lower() not in CREDENTIAL_PARAMS:
            return match[0]
        return f"{match[1]}{match[2]}={self._unless_sentinel(match[3])}"

    def _unless_sentinel(self, value: str) -> str:
        return value if _is_sentinel(value) else mark(unquote(value))


def mark(secret: str) -> str:
    """What stands in a secret's place: the same for the same secret, and of no use for
    finding it.
    """
    if _MARK.fullmatch(secret.strip()):
        return secret.strip()  # an imported capture was redacted when it was made
    digest = hashlib.blake2b(
        secret.strip().encode("utf-8", "surrogatepass"), digest_size=3, person=b"ccproxy.mark"
    )
    return f"‹redacted {digest.hexdigest()}›"


def _credentials(name: str, value: str) -> tuple[str, ...]:
    """What a header (lower-case name) carries that an echo may hold."""
    found: list[str] = []
    if name not in COOKIE_HEADERS:
        if is_credential_header(name, value):
            found = [_SCHEME.sub("", value, count=1).strip()]
        elif name == "sec-websocket-protocol":
            found = _WS_KEY.findall(value)
    return tuple(filter(_may_be_learned, found))


def _may_be_learned(value: str) -> bool:
    return (
        len(value) >= LEARN_FROM_CHARS
        and not _is_sentinel(value)
        and any(char.isdigit() for char in value)
    )


def _is_sentinel(value: str) -> bool:
    return (
        provider_of(value.strip()) is not None
        and re.fullmatch(r"[\w.-]+", value.strip()) is not None
    )


def _cookie(name: str, value: str) -> str:
    """Cookies keep their names, and a set-cookie its attributes."""
    pairs = value.split(";")
    secret_pairs = 1 if name == "set-cookie" else len(pairs)
    return ";".join([*map(_cookie_pair, pairs[:secret_pairs]), *pairs[secret_pairs:]])


def _cookie_pair(pair: str) -> str:
    key, equals, value = pair.partition("=")
    if not equals:
        return mark(pair) if pair.strip() else pair
    return f"{key}={mark(value)}" if value else pair
