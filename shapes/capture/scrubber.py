"""Scrubber: reduces a captured request to what a shape keeps, and lists what it found. Pure.

Example, with `system` as `prepend_shape:1` and `messages` as a content field:

    {"messages": ["hi"], "system": [{"text": "I work in /home/ada"}, {"text": "secret"}], "a": "b"}
      →  {"system": [{"text": "I work in /home/user"}], "a": "placeholder"}
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from flows.redaction.credential_names import CREDENTIAL_PARAMS, is_credential_header
from shapes.capture.captured_request import CapturedRequest, Headers
from shapes.capture.personal_data import (
    PLACEHOLDER,
    excerpt,
    find_personal,
    is_id_name,
    masked,
    name_pattern,
    names_in,
    same_form,
)
from shapes.capture.scrub_plan import ScrubPlan
from shapes.replay.sensitive_headers import CAPTURE_DROPS, is_internal

MAX_FINDINGS: Final = 300
_SEARCHED_CHARS: Final = 1_000_000
"""Characters of texts that do not stay in which personal data is looked for."""
_MAX_NAMES: Final = 50
_NETWORK_HEADERS: Final = frozenset({"forwarded", "via", "x-real-ip", "true-client-ip"})
_NETWORK_PREFIX: Final = "x-forwarded-"
_MARK: Final = "‹redacted"
_KEY: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$-]{0,63}")
_TYPE: Final = re.compile(r"[a-z][a-z0-9_.-]{0,39}")


@dataclass(frozen=True, slots=True)
class Finding:
    """Personal data that was found. `shown` is its start; `outcome` says what became of it."""

    kind: str
    place: str
    shown: str
    outcome: str


@dataclass(slots=True)
class ScrubReport:
    """Account of a scrubbed request, without any value of it."""

    findings: list[Finding] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    placeholders: list[str] = field(default_factory=list)
    uncounted: int = 0
    key_order: tuple[str, ...] = ()
    """Names of the body's fields as captured, also of those that are left out."""

    def note(self, finding: Finding) -> None:
        """Add a finding; beyond the limit it is only counted."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)
        else:
            self.uncounted += 1

    def summary(self) -> dict[str, Any]:
        """Return the account that is stored with the shape: places and counts."""
        counts: dict[str, int] = {}
        for finding in self.findings:
            if finding.outcome == "masked":
                counts[finding.kind] = counts.get(finding.kind, 0) + 1
        return {
            "left_out": list(self.left_out),
            "placeholders": list(self.placeholders),
            "masked": counts,
            "key_order": list(self.key_order),
        }


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A request as it would be stored, and the account of it."""

    request: CapturedRequest
    report: ScrubReport


def scrub(request: CapturedRequest, plan: ScrubPlan) -> Scrubbed:
    """Return the request without credentials, content and personal data."""
    return _Scrubber(request, plan).run()


class _Scrubber:
    """One run over one request."""

    def __init__(self, request: CapturedRequest, plan: ScrubPlan) -> None:
        self._request = request
        self._plan = plan
        self._report = ScrubReport()
        self._budget = _SEARCHED_CHARS
        self._names = name_pattern(_common_names(request))

    def run(self) -> Scrubbed:
        request = self._request
        # A shaped request has its fields in the client's order, so the names are kept.
        self._report.key_order = tuple(key for key in request.body if self._is_plain(key))
        body = self._object(request.body, "")
        scrubbed = CapturedRequest(
            request.method,
            self._masked(request.path, "path"),
            self._query(request.query),
            self._headers(request.headers),
            body,
        )
        return Scrubbed(scrubbed, self._report)

    # The start of the request

    def _headers(self, headers: Headers) -> Headers:
        kept = []
        for name, value in headers:
            lower = name.lower()
            place = f"header {lower}"
            if _is_dropped(lower, value):
                self._report.left_out.append(place)
            elif is_id_name(lower):
                kept.append((name, self._id(value, place)))
            else:
                kept.append((name, self._masked(value, place)))
        return tuple(kept)

    def _query(self, query: str) -> str:
        kept = []
        for name, value in parse_qsl(query, keep_blank_values=True):
            place = f"query {name if _KEY.fullmatch(name) else '?'}"
            if name.lower() in CREDENTIAL_PARAMS or _MARK in value:
                self._report.left_out.append(place)
            else:
                kept.append((name, self._masked(value, place)))
        return urlencode(kept)

    # The body

    def _object(self, value: dict[str, Any], above: str) -> dict[str, Any]:
        """Return an object of which some fields are left out and others stay."""
        stored: dict[str, Any] = {}
        for key, item in value.items():
            place = _joined(above, key)
            if place in self._plan.left_out:
                self._report.left_out.append(place)
                self._search(item, place, "left out")
            elif place in self._plan.prefixes:
                stored[key] = self._prefix(item, place, self._plan.prefixes[place])
            elif self._plan.keeps(place):
                stored[key] = self._kept(item, place, key)
            elif isinstance(item, dict) and self._reaches_into(place):
                stored[key] = self._object(item, place)
            else:
                name = self._free_key(key, above, stored)
                stored[name] = self._placeholders(item, _joined(above, name), key)
        return stored

    def _reaches_into(self, place: str) -> bool:
        """Check whether the plan names a place inside this object."""
        inside = f"{place}."
        named = (*self._plan.left_out, *self._plan.kept)
        return any(other.startswith(inside) for other in named)

    def _prefix(self, value: Any, place: str, limit: int | None) -> Any:
        if not isinstance(value, list) or limit is None:
            return self._kept(value, place, "")
        for index, item in enumerate(value[limit:], limit):
            self._report.left_out.append(f"{place}.{index}")
            self._search(item, f"{place}.{index}", "left out")
        return self._kept(value[:limit], place, "")

    def _kept(self, value: Any, place: str, key: str) -> Any:
        """Return a value whose texts stay, without personal data."""
        if isinstance(value, str):
            return self._id(value, place) if is_id_name(key) else self._masked(value, place)
        if isinstance(value, list):
            return [self._kept(item, f"{place}.{n}", key) for n, item in enumerate(value)]
        if isinstance(value, dict):
            stored: dict[str, Any] = {}
            for name, item in value.items():
                masked_name = self._masked_key(name, place, stored)
                inside = _joined(place, masked_name)
                stored[masked_name] = self._kept(item, inside, name)
            return stored
        return self._number(value, place, key)

    def _placeholders(self, value: Any, place: str, key: str) -> Any:
        """Return a value of the same form whose texts are placeholders."""
        if self._plan.keeps(place):
            return self._kept(value, place, key)
        if isinstance(value, str):
            return self._text_placeholder(value, place, key)
        if isinstance(value, list):
            return [self._placeholders(item, f"{place}.{n}", key) for n, item in enumerate(value)]
        if isinstance(value, dict):
            stored: dict[str, Any] = {}
            for name, item in value.items():
                free = self._free_key(name, place, stored)
                stored[free] = self._placeholders(item, _joined(place, free), name)
            return stored
        return self._number(value, place, key)

    def _text_placeholder(self, value: str, place: str, key: str) -> str:
        # {"type": "ephemeral"}: the word that says what an object is, never a person's text.
        if not value or (key == "type" and _TYPE.fullmatch(value)):
            return value
        self._report.placeholders.append(place)
        self._search(value, place, "replaced")
        return PLACEHOLDER

    def _number(self, value: Any, place: str, key: str) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and value and is_id_name(key):
            self._report.note(Finding("account id", place, "number", "masked"))
            return 0
        return value

    def _is_plain(self, key: str) -> bool:
        """Check whether the name of a field is a word of the client's, not a person's text."""
        return bool(_KEY.fullmatch(key)) and not find_personal(key, self._names)

    def _free_key(self, key: str, above: str, taken: dict[str, Any]) -> str:
        """Return the name of a field whose content does not stay, or a word for a text as name."""
        if self._is_plain(key):
            return key
        # Places are stored with the shape, so they must not have the text either.
        name = _unused("key", taken)
        self._report.placeholders.append(_joined(above, name))
        return name

    def _masked_key(self, key: str, place: str, taken: dict[str, Any]) -> str:
        return _unused(self._masked(key, place), taken)

    # Texts

    def _id(self, value: str, place: str) -> str:
        replacement = same_form(value)
        if value and value != replacement:
            self._report.note(Finding("account id", place, excerpt(value), "masked"))
        return replacement if value else value

    def _masked(self, text: str, place: str) -> str:
        hits = find_personal(text, self._names)
        for hit in hits:
            shown = excerpt(text[hit.start : hit.end])
            if text[hit.start : hit.end] != hit.replacement:
                self._report.note(Finding(hit.kind, place, shown, "masked"))
        return masked(text, hits)

    def _search(self, value: Any, place: str, outcome: str) -> None:
        """List the personal data in a value that does not stay."""
        # Beyond the budget nothing is listed; it does not stay either way.
        for text in _texts(value):
            searched = text[: max(0, self._budget)]
            self._budget -= len(searched)
            for hit in find_personal(searched, self._names):
                shown = excerpt(text[hit.start : hit.end])
                self._report.note(Finding(hit.kind, place, shown, outcome))


def _is_dropped(name: str, value: str) -> bool:
    """Check whether a header (lower-case name) is left out."""
    if name in CAPTURE_DROPS or name in _NETWORK_HEADERS or name.startswith(_NETWORK_PREFIX):
        return True
    return is_internal(name) or is_credential_header(name, value) or _MARK in value


def _common_names(request: CapturedRequest) -> list[str]:
    """Return the names that the request gives away most often: its user's are among them.

    A name counts in all of the request once any part gives it away.
    """
    counts: Counter[str] = Counter()
    searched = 0
    for text in (*(value for _, value in request.headers), *_texts(request.body)):
        counts.update(names_in(text))
        searched += len(text)
        if searched > _SEARCHED_CHARS:
            break
    return [name for name, _ in counts.most_common(_MAX_NAMES)]


def _joined(above: str, name: str) -> str:
    return f"{above}.{name}" if above else name


def _unused(name: str, taken: dict[str, Any]) -> str:
    free = name
    number = 2
    while free in taken:
        free = f"{name}{number}"
        number += 1
    return free


def _texts(value: Any) -> Iterator[str]:
    """Yield every text of a JSON value, the names of fields too."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            waiting.extend(reversed(item))
        elif isinstance(item, dict):
            waiting.extend(reversed(list(item.values())))
            waiting.extend(item)
