"""Capture of a flow as a new version: review first, then a row of exactly what was reviewed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

from flows.bodies.complete_flow import CompleteFlow, load_flow
from flows.compare.compared_request import ComparedRequest
from flows.compare.request_change import RequestChange, compare_requests
from flows.models import Flow
from flows.reading.body_view import body_view
from providers.base.errors import CcproxyError
from providers.base.names import PROVIDER_TYPES
from providers.base.nearest import capitalised, no_such
from shapes.capture.captured_request import CapturedRequest, client_release
from shapes.capture.scrub_plan import scrub_plan
from shapes.capture.scrubber import Scrubbed, scrub
from shapes.capture.validity import NoShape, Recorded, valid_request
from shapes.models import Shape, ShapingProfile
from shapes.replay.shape_text import write_body
from shapes.versions.candidates import candidate_flows, path_pattern
from shapes.versions.effective_shape import effective_parts

_MAX_TRIED: Final = 200
"""Candidates that are tried, newest first, until one is valid."""


class CaptureRefused(CcproxyError):
    """The flow cannot become a shape; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Review:
    """A captured request before anything is stored: raw, scrubbed, and the row it would be."""

    raw: CapturedRequest
    scrubbed: Scrubbed
    shape: Shape
    same_as: Shape | None
    """An earlier version with the same content."""

    @property
    def digest(self) -> str:
        """Digest of what would be stored, so that a person confirms what they saw."""
        return content_digest(self.shape)

    @property
    def pretty_body(self) -> str:
        """The body that would be stored, indented."""
        return json.dumps(json.loads(self.shape.body), indent=2, ensure_ascii=False)

    def change(self) -> RequestChange:
        """Compare the raw request with what would be stored."""
        return _change(_compared(self.raw), compared_shape(self.shape))


def check_type(provider_type: str) -> str:
    """Return the provider type.

    Raises:
        CaptureRefused: there is none of this name; the message suggests one.
    """
    if provider_type not in PROVIDER_TYPES:
        message = capitalised(no_such("provider type", provider_type, PROVIDER_TYPES))
        raise CaptureRefused(message)
    return provider_type


@dataclass(frozen=True, slots=True)
class Source:
    """Origin of a captured request. `label` names it in messages."""

    label: str
    recorded: Recorded
    origin: str = ""
    flow_id: str = ""
    fingerprint: dict[str, Any] | None = None
    captured_at: datetime | None = None
    key_order: tuple[str, ...] = ()
    """Order of the fields in the captured body, where the request is a stored shape already."""


def review(flow: CompleteFlow, provider_type: str, keep: Iterable[str] = ()) -> Review:
    """Return the review of a flow; `keep` are places whose texts stay, such as `a.b`.

    Raises:
        CaptureRefused: it cannot become a shape of this type.
    """
    row = flow.flow
    source = Source(
        label=f"Flow {row.pk[:8]}",
        recorded=_recorded(flow),
        origin=_origin(row.forwarded_url),
        flow_id=row.pk,
        fingerprint=fingerprint_of(row),
        captured_at=row.started_at,
    )
    return review_source(source, provider_type, keep)


def review_source(source: Source, provider_type: str, keep: Iterable[str] = ()) -> Review:
    """Return the review of a request of any origin.

    Raises:
        CaptureRefused: it cannot become a shape of this type.
    """
    profile = ShapingProfile.of(check_type(provider_type))
    if not profile.content_fields:
        raise CaptureRefused(
            f"The profile of {provider_type} names no content fields, so a shape would replace"
            " every request's content. Set them first, see docs/shaping.md."
        )
    try:
        raw = valid_request(source.recorded, path_pattern(profile))
    except NoShape as exc:
        raise CaptureRefused(
            f"{source.label} cannot become a shape of {provider_type}: {exc}."
        ) from None
    # The profile as it is now: a review that was confirmed under another one has another digest.
    plan = scrub_plan(
        profile.content_fields, profile.merge_strategies, profile.shape_hooks, sorted(keep)
    )
    scrubbed = scrub(raw, plan)
    if source.key_order:
        scrubbed.report.key_order = source.key_order
    shape = _row(source, provider_type, scrubbed)
    try:
        shape.full_clean(exclude=["version"], validate_unique=False, validate_constraints=False)
    except ValidationError as exc:
        reasons = " ".join(exc.messages)
        raise CaptureRefused(f"{source.label} cannot be stored: {reasons}") from None
    return Review(raw, scrubbed, shape, _same_as(shape))


def newest_valid(provider_type: str, among: Sequence[str] | None = None) -> CompleteFlow:
    """Return the newest flow that can become a shape: of captured clients, or of some flows.

    `among`: ids of flows, the newest last.

    Raises:
        CaptureRefused: there is none; the message names the reason of the newest one.
    """
    check_type(provider_type)
    if among is None:
        ids = list(candidate_flows().values_list("pk", flat=True)[:_MAX_TRIED])
    else:
        ids = [*reversed(among)][:_MAX_TRIED]
    reason = ""
    for flow_id in ids:
        flow = load_flow(flow_id)
        if flow is None:
            continue
        try:
            review(flow, provider_type)
        except CaptureRefused as exc:
            reason = reason or str(exc)
        else:
            return flow
    raise CaptureRefused(reason or _nothing_captured(provider_type))


def _nothing_captured(provider_type: str) -> str:
    return (
        f"No call of a captured client is recorded that could become a shape of {provider_type}."
        " Run the client with “ccproxy jail -- COMMAND”, or name a flow."
    )


def _recorded(flow: CompleteFlow) -> Recorded:
    side = flow.side("client", "forwarded")
    row: Flow = flow.flow
    if side is None:
        return Recorded(row.method, row.path, (), None, row.status_code)
    parts = urlsplit(side.url or row.path)
    target = parts.path or "/"
    if parts.query:
        target = f"{target}?{parts.query}"
    headers = tuple((name, value) for name, value in side.headers)
    # A cut body would become a shape that lacks fields.
    body = None
    if not side.body_truncated and flow.stored(side) is not None:
        body = flow.plain(side)
    return Recorded(side.method or row.method, target, headers, body, row.status_code)


def _row(source: Source, provider_type: str, scrubbed: Scrubbed) -> Shape:
    request = scrubbed.request
    user_agent = request.header("user-agent")
    release = client_release(user_agent)
    fingerprint = source.fingerprint
    if fingerprint is not None:
        fingerprint = {
            **fingerprint,
            "user_agent": user_agent,
            "runtime_version": request.header("x-stainless-runtime-version"),
        }
    return Shape(
        provider_type=provider_type,
        method=request.method,
        origin=source.origin,
        path=request.path,
        query=request.query,
        headers=[[name, value] for name, value in request.headers],
        body=write_body(request.body),
        fingerprint=fingerprint,
        source_flow_id=source.flow_id,
        client_family=release.family,
        client_version=release.version,
        captured_at=source.captured_at,
        scrubbed=scrubbed.report.summary(),
    )


def _origin(url: str) -> str:
    """Return scheme and host of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def fingerprint_of(flow: Flow) -> dict[str, Any] | None:
    """Return the record of the client's TLS handshake; None for a client without TLS.

    Example of `ja3_full`: "771,4865-4866,0-10,29-23,0", decimal numbers.
    """
    if not flow.ja3_full:
        return None
    fields = flow.ja3_full.split(",")
    ciphers, extensions, groups = [_hex_numbers(text) for text in [*fields, "", "", "", ""][1:4]]
    return {
        "schema_version": 1,
        "source": "mitmproxy_tls_clienthello",
        "captured_at": flow.started_at.isoformat(),
        "cipher_suites": ciphers,
        "extensions": extensions,
        "supported_groups": groups,
        "ja3": flow.ja3,
        "ja3_full": flow.ja3_full,
        "ja4": flow.ja4,
        "ja4_r": flow.ja4_r,
    }


def _hex_numbers(text: str) -> list[str]:
    return [f"{int(number):04x}" for number in text.split("-") if number.isdigit()]


# Comparison


def compare_shapes(before: Shape, after: Shape) -> RequestChange:
    """Compare two versions, with their patches.

    Raises:
        BrokenPatch: a patch of one does not apply.
    """
    return _change(compared_shape(before), compared_shape(after))


def _change(before: ComparedRequest, after: ComparedRequest) -> RequestChange:
    # Without bodies the comparison takes them for equal.
    if before.body and after.body and before.body.plain == after.body.plain:
        before = replace(before, body=None)
        after = replace(after, body=None)
    return compare_requests(before, after)


def compared_shape(shape: Shape) -> ComparedRequest:
    """Return a shape, with its patches, as it takes part in a comparison.

    Raises:
        BrokenPatch: a patch does not apply.
    """
    parts = effective_parts(shape)
    headers = [list(line) for line in parts.headers]
    return ComparedRequest(_target(parts.path, parts.query), headers, _json_view(parts.body))


def _compared(request: CapturedRequest) -> ComparedRequest:
    headers = [list(line) for line in request.headers]
    return ComparedRequest(
        _target(request.path, request.query), headers, _json_view(write_body(request.body))
    )


def _json_view(text: str) -> Any:
    return body_view("", text.encode(), "application/json")


def _target(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def content_digest(shape: Shape) -> str:
    """Return a digest of what is replayed: address, headers and body."""
    parts = [shape.method, shape.path, shape.query, shape.headers, shape.body]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _same_as(shape: Shape) -> Shape | None:
    digest = content_digest(shape)
    earlier: Shape
    # A patched version sends something else than it stores, so it equals no capture.
    unpatched = Shape.objects.filter(provider_type=shape.provider_type, patches__isnull=True)
    for earlier in unpatched:
        if content_digest(earlier) == digest:
            return earlier
    return None
