"""Which recorded answers the end-to-end tests replay: the smallest with the wanted features, read
once by its SDK.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from providers.base.names import WireFormatName
from tests.fakes.replayed import recorded
from tests.providers.wire.cases import Case, buffered, streamed
from tests.providers.wire.sdk_answers import Digest, read

# What the answer's own format alone can say; how it is lost is tested case by case in
# tests/providers/wire.
_LEFT_OUT = {
    "r_server_tool",
    "r_citations",
    "r_media",
    "r_refusal",
    "r_empty",
    "error_in_stream",
    "builtin_tools",
}
_NO_JSON = {"anthropic-a131e4d03336"}  # its tool arguments are two texts cut into each other
_SIGNED = re.compile(rb'"(?:signature|thoughtSignature|encrypted_content)": ?"([^"]{16,})"')


@dataclass(frozen=True)
class Recording:
    """An answer as it was recorded and what the SDK of its format reads in it."""

    id: str
    raw: bytes
    stream: bool
    digest: Digest

    @property
    def signatures(self) -> list[str]:
        """What the vendor signed its reasoning with."""
        return [match.decode() for match in _SIGNED.findall(self.raw)]


TOPICS: dict[str, tuple[str, Callable[[Recording], bool]]] = {
    "unicode": ("", lambda r: not r.raw.isascii() and r.digest.stop == "stop"),
    "reasoning": ("r_thinking", lambda r: bool(r.digest.reasoning) and r.digest.stop == "stop"),
    "length": ("r_length", lambda r: r.digest.stop == "length" and bool(r.digest.usage)),
    "cache": ("r_cache_usage", lambda r: bool(r.digest.usage.get("cached"))),
    "one call": ("r_tool_call", lambda r: len(r.digest.calls) == 1 and not r.signatures),
    "parallel calls": ("r_parallel_tools", lambda r: 1 < len(r.digest.calls) < 5),
    "signed call": ("r_tool_call", lambda r: bool(r.digest.calls and r.signatures)),
}
"""Name → the feature it needs and what must be true of the recording."""


@cache
def recording(
    corpus: Path, wire_format: WireFormatName, topic: str, *, stream: bool
) -> Recording | None:
    """The smallest recording on a topic, or None where none was recorded."""
    feature, fits = TOPICS[topic]
    cases = [
        case for case in (streamed if stream else buffered)(corpus) if case.format == wire_format
    ]
    wanted = [case for case in cases if _usable(case) and (not feature or feature in case.features)]
    for case in sorted(wanted, key=lambda case: len(recorded(case.answer))):
        if topic == "unicode" and recorded(case.answer).isascii():
            continue
        found = _read(case, stream)
        if found is not None and fits(found):
            return found
    return None


def _usable(case: Case) -> bool:
    return (
        case.id not in _NO_JSON
        and not _LEFT_OUT & set(case.features)
        and not isinstance(case.answer, list)
    )


def _read(case: Case, stream: bool) -> Recording | None:
    raw = recorded(case.answer)
    try:
        digest = read(case.format, raw, stream=stream)
    except Exception:
        return None  # a recording that its own SDK cannot read is no measure
    if (digest.usage.get("cached") or 0) > (digest.usage.get("in") or 0):
        return None  # nor is one that contradicts itself
    return Recording(case.id, raw, stream, digest)
