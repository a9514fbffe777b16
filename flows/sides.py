"""Sides and hook traces of a flow, and the three JSON texts that store them. Pure.

A row for each side and each step took 0.17 ms of CPU time a flow (four sides, five steps); one row
of texts takes 0.03 ms. The texts are:

- `headers`: every list of headers that a side has, each once: `[[["host", "a"], ...], ...]`. The
  filter by header searches this text, so it holds nothing else.
- `sides`: an object for each side, without default values; its `headers` is an index into the
  lists.
- `steps`: `{"headers": [...], "steps": [...]}`, the same for hooks; indexes go on behind those of
  the sides.

  A flow whose request was sent several times has `"attempts": [...]` in it too, an object for each.

Two sides with equal headers and a hook that added one:

    headers  [[["host","a"]]]
    sides    [{"side":"client","headers":0},{"side":"forwarded","headers":0}]
    steps    {"headers":[[["host","a"],["x","1"]]],"steps":[{"seq":0,"headers_after":1}]}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson

from flows.bytes.database_text import database_json
from flows.record import AttemptRecord

Lines = list[list[str]]
"""[[name, value], ...] in wire order, secrets redacted."""


@dataclass(slots=True)
class FlowSide:
    """One of the four sides of a flow: client, forwarded, upstream, delivered."""

    side: str
    http_version: str = ""
    method: str = ""
    url: str = ""
    status_code: int | None = None
    reason: str = ""
    headers: Lines = field(default_factory=list)
    trailers: Lines = field(default_factory=list)
    body_digest: str = ""
    body_size_bytes: int = 0
    """On the wire, before redaction."""
    body_truncated: bool = False
    body_redacted: bool = False
    """A credential's value was cut out of the stored bytes."""
    body_decoded: bool = False
    """The stored bytes have no content encoding any more: it hid a credential."""
    chunk_times: list[list[float]] = field(default_factory=list)
    """[[offset, ms since the flow began], ...] of a stream."""


@dataclass(slots=True)
class HookTrace:
    """Changes that one hook made to one flow. Headers are None where nothing changed."""

    seq: int
    stage: str = ""
    hook: str = ""
    outcome: str = ""
    """ran, skipped, error"""
    reason: str = ""
    """Why it was skipped, or the error."""
    prepare_ms: float = 0.0
    apply_ms: float = 0.0
    started_ms: float = 0.0
    """Since the flow began."""
    changed: list[str] = field(default_factory=list)
    """Parts it wrote: "header:x", "body", "path", "meta:x"."""
    headers_before: Lines | None = None
    headers_after: Lines | None = None
    url_before: str = ""
    url_after: str = ""
    body_before: str = ""
    body_after: str = ""
    origins: list[list[str]] = field(default_factory=list)
    """[[part, origin], ...] of a request that took a shape, see `flows.record.HookStep`."""


@dataclass(frozen=True, slots=True)
class PartTexts:
    """The three texts of a flow."""

    headers: str
    sides: str
    steps: str


_SIDE_HEADERS: Final = ("headers",)
_STEP_HEADERS: Final = ("headers_before", "headers_after")


@dataclass(slots=True)
class PartsDraft:
    """The texts while they are built: the sides' objects, then the steps'.

    Headers in these objects are indexes that `add_headers` returned.
    """

    sides: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    _indexes: dict[bytes, int] = field(default_factory=dict)

    def add_headers(self, lines: bytes) -> int:
        """Return the index of a list of headers, given as JSON. Add those of sides first."""
        return self._indexes.setdefault(lines, len(self._indexes))

    def texts(self) -> PartTexts:
        """Return the texts to store."""
        lists = list(self._indexes)
        side_count = 0
        for side in self.sides:
            side_count = max(side_count, side["headers"] + 1)
        of_sides = b",".join(lists[:side_count])
        of_steps = b",".join(lists[side_count:])
        # Nearly every request is sent once: its text stays as short as before there were attempts.
        attempts = b""
        if self.attempts:
            attempts = b',"attempts":%b' % database_json(self.attempts)
        objects = database_json(self.steps)
        steps = b'{"headers":[%b],"steps":%b%b}' % (of_steps, objects, attempts)
        headers = b"[%b]" % of_sides
        sides = database_json(self.sides)
        return PartTexts(headers.decode(), sides.decode(), steps.decode())


def write_parts(
    sides: Iterable[FlowSide],
    traces: Iterable[HookTrace],
    attempts: Iterable[AttemptRecord] = (),
) -> PartTexts:
    """Return the texts of sides, traces and attempts, in their order."""
    draft = PartsDraft()
    for side in sides:
        draft.sides.append(_to_object(side, _SIDE_DEFAULTS, _SIDE_HEADERS, draft))
    for trace in traces:
        draft.steps.append(_to_object(trace, _TRACE_DEFAULTS, _STEP_HEADERS, draft))
    draft.attempts.extend(asdict(attempt) for attempt in attempts)
    return draft.texts()


def read_sides(headers: str, sides: str) -> dict[str, FlowSide]:
    """Return the sides by name, in their order."""
    lists = orjson.loads(headers)
    found: dict[str, FlowSide] = {}
    for values in orjson.loads(sides):
        fields = _with_lists(values, _SIDE_HEADERS, lists)
        found[values["side"]] = FlowSide(**fields)
    return found


def read_traces(headers: str, steps: str) -> list[HookTrace]:
    """Return the hooks' traces in order."""
    found = orjson.loads(steps)
    lists = orjson.loads(headers) + found["headers"]
    traces: list[HookTrace] = []
    for values in found["steps"]:
        fields = _with_lists(values, _STEP_HEADERS, lists)
        traces.append(HookTrace(**fields))
    return traces


def read_attempts(steps: str) -> list[AttemptRecord]:
    """Return the attempts in order; none for a request that was sent once."""
    return [AttemptRecord(**values) for values in orjson.loads(steps).get("attempts", ())]


def _to_object(
    part: FlowSide | HookTrace,
    defaults: dict[str, Any],
    header_names: tuple[str, ...],
    draft: PartsDraft,
) -> dict[str, Any]:
    """Return the values that are no defaults, with headers as indexes."""
    values: dict[str, Any] = {}
    for name, default in defaults.items():
        value = getattr(part, name)
        if value != default:
            values[name] = value
    for name in header_names:
        lines = getattr(part, name)
        if lines is not None:
            values[name] = draft.add_headers(database_json(lines))
    return values


def _with_lists(
    values: dict[str, Any], header_names: tuple[str, ...], lists: Sequence[Lines]
) -> dict[str, Any]:
    """Return the values of an object with its indexes replaced by the lists."""
    fields = dict(values)
    for name in header_names:
        index = values.get(name)
        if index is not None:
            fields[name] = lists[index]
    return fields


# Names and numbers are always written: no side is called None.
_SIDE_DEFAULTS: Final = asdict(FlowSide("")) | {"side": None}
_TRACE_DEFAULTS: Final = asdict(HookTrace(0)) | {"seq": None}


def header(headers: Sequence[Sequence[str]], name: str) -> str:
    """Return the first value of a header (`name` in lower case); empty when there is none."""
    for line in headers:
        if line[0].lower() == name:
            return line[1]
    return ""


def answer_side(sides: dict[str, FlowSide]) -> FlowSide | None:
    """Return the side that shows the response: as it was delivered, else as it arrived."""
    for name in ("delivered", "upstream"):
        side = sides.get(name)
        if side is not None and (side.body_digest or side.status_code):
            return side
    return None
