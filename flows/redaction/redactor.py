"""Redactor: keeps secrets out of everything that is stored, logged or shown. Pure.

Works in two ways at once:

- By name: headers, query parameters and JSON fields that carry credentials lose their value.
- By value: every secret that this process ever resolved, and every credential seen in such a
  header, is cut out wherever it stands: complete, in fragments of 14 characters or more,
  and in the encodings that `flows.redaction.scanner` lists. A secret that a stream
  splits into shorter fragments, one event each, is not found in the raw bytes.

A secret becomes a mark, always the same for the same secret: ‹redacted 3f9a21›. Sentinel keys are
public and stay readable.
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
from flows.redaction.credential_names import (
    COOKIE_HEADERS,
    CREDENTIAL_PARAMS,
    URL_HEADERS,
    is_credential_header,
)
from flows.redaction.incremental_search import (
    REUSE_FROM_BYTES,
    EarlierSearch,
    SearchResult,
    SecretSet,
)
from flows.redaction.json_fields import replace_named
from flows.redaction.memo import Generation, Memo
from flows.redaction.presence import Presence
from flows.redaction.scanner import Scanner, merge_hits
from flows.redaction.secret_look import looks_like_secret
from providers.auth.registry import SecretRegistry
from providers.auth.sentinel import provider_of

LEARNED_SECRETS = 64
LEARNED_ENCODED = 4
"""The newest learned secrets are found in every encoding, the others plain and JSON-escaped, which
takes less memory.
"""
CUT_BYTES = 1024 * 1024
"""Size of the decoded part that is kept of a body that decodes to more than the cap."""

_TOKEN_BODY_BYTES = 64 * 1024
_MARK = re.compile(r"‹redacted [0-9a-f]{6}›")
_SENTINEL = re.compile(r"[\w.-]+")
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
    """A replacement of data[start:end] by `length` bytes."""

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
    search: SearchResult | None = field(default=None, repr=False, compare=False)
    """For the search of a similar body; None when it would not help."""

    def moved(self, offset: int) -> int:
        """Return the position here of an offset in the original (not decoded) bytes.

        An offset inside a replaced secret moves to the mark, or close behind its start.
        """
        shift = 0
        for edit in self.edits:
            if edit.start >= offset:
                break
            removed_bytes = min(edit.end, offset) - edit.start
            shift += edit.length - removed_bytes
        return offset + shift


class Redactor:
    """Removes secrets from bytes, texts, URLs and headers. Safe to share between threads."""

    def __init__(
        self,
        registry: SecretRegistry,
        *,
        learned_secrets: int = LEARNED_SECRETS,
        reuse_from_bytes: int = REUSE_FROM_BYTES,
        memo: Memo | None = None,
    ) -> None:
        self._registry = registry
        self._max_learned = learned_secrets
        self._reuse_from_bytes = reuse_from_bytes
        self._memo = memo or Memo()
        self._learned: OrderedDict[str, None] = OrderedDict()
        self._learned_version = 0
        self._lock = Lock()
        self._registered: frozenset[str] = frozenset()
        self._secrets = SecretSet(reuse_from_bytes=reuse_from_bytes)

    @property
    def version(self) -> tuple[int, int]:
        """Changes whenever another secret becomes known."""
        return self._registry.version, self._learned_version

    def generation(self) -> Generation:
        """Return the memo's results for the secrets that are known now."""
        return self._memo.at(self.version)

    def data(self, value: bytes) -> tuple[bytes, bool]:
        """Return `value` without secrets, and whether it had any."""
        data, edits, _ = self._cut(value)
        return data, bool(edits)

    def text(self, value: str) -> str:
        """Return `value` without the secrets known by value."""
        memo = self._memo.at(self.version)
        known = memo.texts.get(value)
        if known is not None:
            return known
        data, edits, _ = self._cut(value.encode("utf-8", "surrogatepass"))
        redacted = data.decode("utf-8", "surrogatepass") if edits else value
        return memo.keep(memo.texts, value, redacted, len(value))

    def line(self, value: str) -> str:
        """Return a line of the log without secrets.

        Also removes what looks like a credential in a header, a field or a query.
        """
        value = _LOGGED_CREDENTIAL.sub(self._mark_second_group, value)
        value = _LOGIN_PATH.sub(lambda match: match[1] + mark(match[2]), value)
        value = replace_named(value, self._mark_unless_sentinel)
        value = _PARAM.sub(self._redact_param, value)
        return self.text(value)

    def url(self, value: str) -> str:
        """Return a URL without passwords, credential parameters and secrets."""
        if "=" not in value and "@" not in value:
            return self.text(value)
        memo = self._memo.at(self.version)
        known = memo.urls.get(value)
        if known is not None:
            return known
        redacted = _USERINFO.sub(lambda match: f"{match[1]}{mark(match[2])}@", value)
        redacted = _PARAM.sub(self._redact_param, redacted)
        return memo.keep(memo.urls, value, self.text(redacted), len(value))

    def headers(self, headers: Headers) -> list[list[str]]:
        """Return names and values in order, values without secrets."""
        known = self._memo.at(self.version).headers
        redacted: list[list[str]] = []
        for line in headers:
            name, value = line
            found = known.get(line)
            if found is None:
                found = self.header(name, value)
            redacted.append([name, found])
        return redacted

    def header(self, name: str, value: str) -> str:
        """Return one header's value without secrets."""
        memo = self._memo.at(self.version)
        redacted = self._redact_header(name.lower(), value)
        chars = len(name) + len(value)
        return memo.keep(memo.headers, (name, value), redacted, chars)

    def body(
        self, value: bytes, content_encoding: str = "", earlier: EarlierSearch | None = None
    ) -> RedactedBody:
        """Return a body without secrets; the exact bytes when there is none inside.

        A compressed body is decoded for the search. `earlier` spares the search of what was
        searched before for the same set of secrets.
        """
        if layers(content_encoding, value):
            return self._encoded_body(value, content_encoding)
        self._learn_tokens(value)
        data, edits, search = self._cut(value, earlier)
        return RedactedBody(data, redacted=bool(edits), edits=edits, search=search)

    def learn(self, headers: Headers) -> None:
        """Remember the credentials in `headers`: an echo of them is then found by value."""
        memo = self._memo.at(self.version)
        for line in headers:
            found = memo.credentials.get(line)
            if found is None:
                name, value = line
                found = _credentials(name.lower(), value)
                memo.keep(memo.credentials, line, found, len(name) + len(value))
            for credential in found:
                self._remember(credential)

    def learn_url(self, url: str) -> None:
        """Remember the credentials in a URL's query."""
        if "=" not in url:
            return
        for _, name, value in _PARAM.findall(url):
            if unquote_plus(name).lower() in CREDENTIAL_PARAMS:
                self._remember(unquote(value))

    def _redact_header(self, name: str, value: str) -> str:
        if name in COOKIE_HEADERS:
            return self.text(_redact_cookies(name, value))
        if name == "sec-websocket-protocol":
            value = _WS_KEY.sub(lambda match: self._mark_unless_sentinel(match[0]), value)
        elif is_credential_header(name, value):
            match = _SCHEME.match(value)
            scheme = match[0] if match else ""
            return scheme + self._mark_unless_sentinel(value[len(scheme) :])
        if name in URL_HEADERS:
            return self.url(value)
        return self.text(value)

    def _encoded_body(self, value: bytes, content_encoding: str) -> RedactedBody:
        decoded = decode(value, content_encoding)
        self._learn_tokens(decoded.data)
        data, edits, _ = self._cut(decoded.data)
        if decoded.capped:
            # What lies behind the cap was not searched, so the compressed original cannot be kept.
            data = data[:CUT_BYTES]
            return RedactedBody(data, redacted=bool(edits), decoded=True, truncated=True)
        if edits and decoded.data is not value:
            return RedactedBody(data, redacted=True, decoded=True)
        # The header may be wrong: the bytes as they came can hold a secret too.
        data, edits, _ = self._cut(value)
        return RedactedBody(data, redacted=bool(edits), edits=edits)

    def _cut(
        self, value: bytes, earlier: EarlierSearch | None = None
    ) -> tuple[bytes, tuple[Edit, ...], SearchResult | None]:
        """Return `value` with marks instead of secrets, the edits, and the search's result."""
        found, search = self._current_secrets().search(value, earlier)
        hits = [hit for hit in found if not _is_sentinel(hit.secret)]
        if not hits:
            return value, (), search
        pieces: list[bytes] = []
        edits: list[Edit] = []
        position = 0
        for hit in merge_hits(hits):
            replacement = mark(hit.secret).encode()
            pieces.append(value[position : hit.start])
            pieces.append(replacement)
            edits.append(Edit(hit.start, hit.end, len(replacement)))
            position = hit.end
        pieces.append(value[position:])
        return b"".join(pieces), tuple(edits), search

    def _current_secrets(self) -> SecretSet:
        version = self.version
        if self._secrets.version != version:
            with self._lock:
                self._secrets = self._build_secrets(version)
        return self._secrets

    def _build_secrets(self, version: tuple[int, int]) -> SecretSet:
        """Return the current set of secrets; the caller holds the lock."""
        before = self._secrets
        registered = before.registered
        values = self._registry.values
        added = [value for value in values - self._registered if not _is_sentinel(value)]
        if added:
            registered = registered.with_secrets(sorted(added))
        # Secrets that left the registry stay known: they may still be in a body on its way.
        self._registered |= values
        learned_values = list(self._learned)
        learned = Scanner(learned_values[:-LEARNED_ENCODED], encoded=False)
        learned = learned.with_secrets(learned_values[-LEARNED_ENCODED:], encoded=True)
        number = before.number + 1
        presence = before.presence
        if registered is not before.registered:
            presence = Presence(registered)
        return SecretSet(version, number, registered, learned, self._reuse_from_bytes, presence)

    def _remember(self, value: str) -> None:
        # The same few credentials come with every flow, and a look at their characters takes 20 µs.
        if value in self._registry.values:
            return
        with self._lock:
            if value in self._learned:
                self._learned.move_to_end(value)
                return
            if not _may_be_learned(value):
                return
            self._learned[value] = None
            if len(self._learned) > self._max_learned:
                self._learned.popitem(last=False)
            self._learned_version += 1

    def _learn_tokens(self, body: bytes) -> None:
        if len(body) > _TOKEN_BODY_BYTES:
            return
        # Searching for the ends of the names first takes a tenth of the pattern's time.
        if b'_token"' in body or b'_secret"' in body:
            for token in _TOKEN_IN_JSON.findall(body):
                self._remember(token.decode("utf-8", "replace"))
        if b"grant_type=" in body:
            for token in _TOKEN_IN_FORM.findall(body):
                self._remember(unquote_plus(token.decode("utf-8", "replace")))

    def _redact_param(self, match: re.Match[str]) -> str:
        separator, name, value = match[1], match[2], match[3]
        if unquote_plus(name).lower() not in CREDENTIAL_PARAMS:
            return match[0]
        return f"{separator}{name}={self._mark_unless_sentinel(value)}"

    def _mark_second_group(self, match: re.Match[str]) -> str:
        return match[1] + self._mark_unless_sentinel(match[2])

    def _mark_unless_sentinel(self, value: str) -> str:
        return value if _is_sentinel(value) else mark(unquote(value))


def mark(secret: str) -> str:
    """Return the text that replaces a secret.

    The same for the same secret, and of no use for finding it: it holds 24 bits of a digest.
    """
    stripped = secret.strip()
    # An imported capture was redacted when it was made.
    if _MARK.fullmatch(stripped):
        return stripped
    encoded = stripped.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(encoded, digest_size=3, person=b"ccproxy.mark")
    return f"‹redacted {digest.hexdigest()}›"


def _credentials(name: str, value: str) -> tuple[str, ...]:
    """Return the credentials in a header (lower-case name) that an echo may repeat."""
    if name in COOKIE_HEADERS:
        return ()
    found: list[str] = []
    if is_credential_header(name, value):
        found = [_SCHEME.sub("", value, count=1).strip()]
    elif name == "sec-websocket-protocol":
        found = _WS_KEY.findall(value)
    return tuple(filter(_may_be_learned, found))


def _may_be_learned(value: str) -> bool:
    """Return whether a credential is found by value from now on, not by its header's name alone."""
    return looks_like_secret(value) and not _is_sentinel(value)


def _is_sentinel(value: str) -> bool:
    stripped = value.strip()
    return provider_of(stripped) is not None and _SENTINEL.fullmatch(stripped) is not None


def _redact_cookies(name: str, value: str) -> str:
    """Return a cookie header with names and attributes but without values.

    cookie: a=1; b=2 → a=‹…›; b=‹…›    set-cookie: sid=1; Path=/ → sid=‹…›; Path=/
    """
    parts = value.split(";")
    cookie_count = 1 if name == "set-cookie" else len(parts)
    redacted = [_redact_cookie(part) for part in parts[:cookie_count]]
    return ";".join(redacted + parts[cookie_count:])


def _redact_cookie(pair: str) -> str:
    key, equals, value = pair.partition("=")
    if not equals:
        return mark(pair) if pair.strip() else pair
    return f"{key}={mark(value)}" if value else pair
