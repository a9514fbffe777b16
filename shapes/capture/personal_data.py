"""Personal data and secrets in texts: found by their form, each with what replaces it. Pure.

Example:

    "ada@host.org works in /home/ada"
      e-mail address  ada@host.org → user@example.invalid
      home directory  /home/ada    → /home/user
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

NIL_UUID: Final = "00000000-0000-4000-8000-000000000000"
PLACEHOLDER: Final = "placeholder"
_SHOWN_CHARS: Final = 4
_LONGEST_NAME: Final = 64


class Hit(NamedTuple):
    """Personal data in a text: text[start:end] and what replaces it."""

    kind: str
    start: int
    end: int
    replacement: str


@dataclass(frozen=True, slots=True)
class _Form:
    kind: str
    pattern: re.Pattern[str]
    replacement: str


_UUID: Final = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_TOKENS: Final = (
    # Of vendors, by their beginning.
    r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{8,}",
    r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|npm_|pypi-|xox[a-z]-|ya29\.|AIza|AKIA|ASIA)"
    r"[A-Za-z0-9_./+=-]{8,}",
    # A signed token: three parts in base64, the first an object.
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
    r"(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9_~.+/=-]{8,}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    # The mark that the record has instead of a secret.
    r"‹redacted [0-9a-f]{6}›",
)
# A match begins where a word does, so that the search takes linear time.
_MAIL: Final = re.compile(
    r"(?<![A-Za-z0-9_.+%-])[A-Za-z0-9_.+%-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+"
)
_FORMS: Final = (
    _Form("token", re.compile("|".join(_TOKENS)), "redacted"),
    _Form("e-mail address", _MAIL, "user@example.invalid"),
    _Form("uuid", re.compile(rf"(?<![0-9a-fA-F]){_UUID}(?![0-9a-fA-F])"), NIL_UUID),
    _Form(
        "account id",
        re.compile(r"\b(?:org|acct|user|account|device|session|proj|team)[-_][A-Za-z0-9]{12,}\b"),
        PLACEHOLDER,
    ),
    # Digests and device ids; 32 hex digits or more are no word.
    _Form("long id", re.compile(r"(?<![0-9a-zA-Z])[0-9a-fA-F]{32,}(?![0-9a-zA-Z])"), PLACEHOLDER),
)
_IN_NAME: Final = r"[^/\\\s\"'<>|:*?,;)]"
# A full stop behind a name ends a sentence.
_HOME: Final = re.compile(
    r"(?P<root>/(?:home|Users)/|[A-Za-z]:(?:\\{1,2}|/)Users(?:\\{1,2}|/))"
    rf"(?P<name>{_IN_NAME}*(?!\.){_IN_NAME})"
)
_RANDOM: Final = re.compile(r"(?<![A-Za-z0-9_+/=-])[A-Za-z0-9_+/=-]{40,}(?![A-Za-z0-9_+/=-])")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{2,}")
# Names of home directories and mailboxes that stand for no person.
_IMPERSONAL: Final = frozenset(
    {"admin", "ci", "claude", "codex", "git", "info", "noreply", "no-reply", "node", "root"}
    | {"runner", "shared", "support", "team", "ubuntu", "user", "users", "vscode", "work"}
)

ID_WORDS: Final = frozenset(
    {"account", "device", "installation", "machine", "organization", "org", "session", "thread"}
    | {"conversation", "user", "project", "workspace", "tenant", "client_id", "prompt"}
)


def name_pattern(names: Sequence[str]) -> re.Pattern[str] | None:
    """Return the pattern of names that a request gave away, see `names_in`; None without any."""
    if not names:
        return None
    # The longest first, so that "ada.byron" is not found as "ada".
    longest_first = sorted(names, key=len, reverse=True)
    alternatives = "|".join(re.escape(name) for name in longest_first)
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)")


def find_personal(text: str, names: re.Pattern[str] | None = None) -> list[Hit]:
    """Return personal data in a text, in order and without overlaps; `names`: more of them."""
    hits = list(_all_hits(text, names))
    # The earlier one first, of two that begin together the longer one.
    hits.sort(key=lambda hit: (hit.start, -hit.end))
    found: list[Hit] = []
    end = 0
    for hit in hits:
        if hit.start >= end:
            found.append(hit)
            end = hit.end
    return found


def _all_hits(text: str, names: re.Pattern[str] | None) -> Iterator[Hit]:
    for form in _FORMS:
        for match in form.pattern.finditer(text):
            yield Hit(form.kind, match.start(), match.end(), form.replacement)
    for match in _HOME.finditer(text):
        replacement = f"{match['root']}user"
        if match.group() != replacement:
            yield Hit("home directory", match.start(), match.end(), replacement)
    for match in _RANDOM.finditer(text):
        if _looks_random(match.group()):
            yield Hit("token", match.start(), match.end(), "redacted")
    if names is not None:
        for match in names.finditer(text):
            yield Hit("name", match.start(), match.end(), "user")


def _looks_random(text: str) -> bool:
    """Recognise a key: small and large letters and digits, which no word has."""
    has_digit = any(char.isdigit() for char in text)
    has_upper = any(char.isupper() for char in text)
    has_lower = any(char.islower() for char in text)
    return has_digit and has_upper and has_lower


def masked(text: str, hits: Iterable[Hit]) -> str:
    """Return the text with its hits, in order, replaced."""
    parts: list[str] = []
    end = 0
    for hit in hits:
        parts += [text[end : hit.start], hit.replacement]
        end = hit.end
    parts.append(text[end:])
    return "".join(parts)


def names_in(text: str) -> list[str]:
    """Return the names that home directories and e-mail addresses give away, also several times.

    Example: "/home/ada/src" → ["ada"].
    """
    found = [match["name"] for match in _HOME.finditer(text)]
    for match in _MAIL.finditer(text):
        found.append(match.group().partition("@")[0])
    return [name for name in found if _is_personal(name)]


def _is_personal(name: str) -> bool:
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        return False
    return name.lower() not in _IMPERSONAL


def is_id_name(name: str) -> bool:
    """Check whether a field or header holds an id of an account, a device or a session.

    Examples: `device_id`, `x-claude-code-session-id`, `accountUuid`.
    """
    words = re.split(r"[^a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    if words[-1] not in ("id", "ids", "uuid", "uid"):
        return False
    return not ID_WORDS.isdisjoint(words[:-1])


def same_form(value: str) -> str:
    """Return what replaces an id: a UUID for a UUID, else a word."""
    if re.fullmatch(_UUID, value):
        return NIL_UUID
    return PLACEHOLDER


def excerpt(text: str) -> str:
    """Return enough of personal data to recognise it: "ada@host.org" → "ada@… (12)"."""
    return f"{text[:_SHOWN_CHARS]}… ({len(text)})"
