"""The request that goes out when a recorded one is sent again, and whether it may. No network, no
secret.

Secrets are never taken from the record, which does not hold them: the credential is resolved again
by the proxy. What else was cut out has to be typed in again, or the request is refused with the
reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from flows.bodies.complete_flow import CompleteFlow
from flows.compare.compared_request import ComparedRequest
from flows.compare.request_change import RequestChange, compare_requests
from flows.reading.body_view import BodyView, body_view
from flows.sides import FlowSide
from interceptor.access.grant import Grant
from interceptor.config.snapshot.schema import Snapshot
from interceptor.explain.as_configured import explain_as_configured
from interceptor.explain.explanation import DryRequest, Explanation
from interceptor.resend.draft import (
    Draft,
    Line,
    ResendError,
    check_line,
    draft_of,
    json_problem,
    parsed_lines,
    recorded_side,
    sent_lines,
    target_of,
)
from interceptor.transform.forwarded import decide_again
from providers.auth.sentinel import AUTH_HEADERS

MARK: Final = re.compile(r"‹redacted [0-9a-f]{1,12}›")


@dataclass(slots=True)
class Outgoing:
    """A request that is ready to be sent.

    `notes` say in sentences how it differs from what was recorded, apart from edits.
    """

    flow: CompleteFlow
    side: FlowSide
    as_forwarded: bool
    method: str
    target: str
    headers: list[Line]
    body: bytes
    edited: bool = False
    provider: str = ""
    origin: str = ""
    notes: list[str] = field(default_factory=list)
    problem: str = ""
    """The fault of the edited body; it is sent only when the user insists."""
    found: Explanation | None = None
    """The pipeline's decision about it; None when it goes as forwarded."""


def outgoing(
    flow: CompleteFlow, snapshot: Snapshot, *, as_forwarded: bool, draft: Draft | None = None
) -> Outgoing:
    """Return the request to send: as it was recorded, or as it was edited.

    Raises:
        ResendError: it cannot be sent; the sentence says why.
    """
    side = recorded_side(flow, as_forwarded=as_forwarded)
    request = (
        _recorded(flow, side, as_forwarded)
        if draft is None
        else _edited(flow, side, as_forwarded, draft)
    )
    check_line(request.method, request.target, request.headers)
    if MARK.search(request.target):
        raise ResendError(
            "The address carried a secret that was not kept. Write it again where the mark is."
        )
    if side.body_redacted and MARK.search(request.body.decode("utf-8", "replace")):
        raise ResendError(
            "A secret was cut out of the body. Write it again where the ‹redacted …› mark is."
        )
    if as_forwarded:
        _to_the_same_place(request, snapshot)
    else:
        _through_the_pipeline(request, snapshot)
    return request


def _recorded(flow: CompleteFlow, side: FlowSide, as_forwarded: bool) -> Outgoing:
    lines = (
        _without(sent_lines(side), "content-encoding") if side.body_decoded else sent_lines(side)
    )
    method, body = side.method or flow.flow.method, flow.stored(side) or b""
    return Outgoing(flow, side, as_forwarded, method, target_of(side.url), lines, body)


def _edited(flow: CompleteFlow, side: FlowSide, as_forwarded: bool, draft: Draft) -> Outgoing:
    """Return the edited request; the parts that were not edited stay exactly as recorded."""
    known, request = draft_of(flow, side), _recorded(flow, side, as_forwarded)
    body = draft.body.replace("\r\n", "\n")
    request.method, request.target = draft.method.strip(), draft.target.strip()
    request.headers = parsed_lines(draft.headers)
    if not known.locked and body != known.body:
        request.body = body.encode("utf-8", "replace")
        request.problem = json_problem(body, _value(request.headers, "content-type"))
    if request.body != flow.stored(side) or side.body_decoded:
        request.headers = _without(request.headers, "content-encoding")
    request.edited = (
        (request.method, request.target) != (known.method, known.target)
        or request.headers != _recorded(flow, side, as_forwarded).headers
        or request.body != flow.stored(side)
    )
    return request


def _to_the_same_place(request: Outgoing, snapshot: Snapshot) -> None:
    flow = request.flow.flow
    if not flow.provider:
        raise ResendError(
            "It went to an address of no provider, with the client's own key, which is not kept. "
            "Try “as the client sent it”."
        )
    request.provider, request.origin = flow.provider, _origin(request.side.url)
    decision = decide_again(snapshot, grant_of(request), request.target, None)
    if decision.status_code:
        raise ResendError(decision.route)
    kept: list[Line] = []
    for name, value in request.headers:
        if not MARK.search(value):
            kept.append((name, value))
        elif name.lower() not in AUTH_HEADERS:
            request.notes.append(f"{name} is left out: its value is not kept.")
        elif decision.provider is None or decision.provider.auth is None:
            raise ResendError(_OWN_KEY.format(name=name))
        else:
            # The proxy puts the credential where it finds a sentinel key.
            kept.append((name, f"sk-ccproxy-{flow.provider}"))
    request.headers = kept


def _through_the_pipeline(request: Outgoing, snapshot: Snapshot) -> None:
    cut = [name for name, value in request.headers if MARK.search(value)]
    request.headers = [line for line in request.headers if not MARK.search(line[1])]
    request.found = found = explain_as_configured(
        DryRequest(
            request.method,
            _moved(request.side.url, request.target),
            tuple(request.headers),
            request.body,
            admitted=True,
        ),
        snapshot,
    )
    keys = [name for name in cut if name.lower() in AUTH_HEADERS]
    provider = found.decision.provider if found.decision else None
    if keys and (provider is None or provider.auth is None):
        raise ResendError(_OWN_KEY.format(name=keys[0]))
    for name in cut:
        reason = "its value is not kept"
        if name in keys:
            reason += "; the credential is put in anew"
        request.notes.append(f"{name} is left out: {reason}.")
    if found.problem:
        request.notes.append(
            f"The proxy would answer it itself, with {found.status_code}: {found.problem}"
        )


_OWN_KEY: Final = (
    "The client sent a key of its own in {name}, and secrets are not kept. Edit the request: put in"
    " a key, or a sentinel key such as sk-ccproxy-NAME."
)


def grant_of(request: Outgoing) -> Grant:
    """Return the grant that the proxy has to give for it."""
    session = request.flow.flow.session_id if request.as_forwarded else ""
    return Grant("", request.as_forwarded, request.provider, request.origin, session)


def difference(request: Outgoing) -> RequestChange:
    """Compare the recorded request with the one that will be sent."""
    side = request.side
    before = after = None
    if request.body != request.flow.stored(side):
        before = _view(side, request.flow.plain(side))
        after = _view(side, request.body)
    recorded_line = f"{side.method} {target_of(side.url)}"
    sent_line = f"{request.method} {request.target}"
    return compare_requests(
        ComparedRequest(recorded_line, sent_lines(side), before),
        ComparedRequest(sent_line, _shown(request), after),
    )


def _shown(request: Outgoing) -> list[Line]:
    """Return the headers for a comparison: a credential's stand-in counts as unchanged."""
    recorded = {
        name.lower(): value for name, value in sent_lines(request.side) if MARK.search(value)
    }
    if not request.as_forwarded:
        return request.headers
    shown: list[Line] = []
    for name, value in request.headers:
        is_stand_in = name.lower() in AUTH_HEADERS
        shown.append((name, recorded.get(name.lower(), value) if is_stand_in else value))
    return shown


def _view(side: FlowSide, plain: bytes) -> BodyView:
    return body_view(side.side, plain, _value([(n, v) for n, v in side.headers], "content-type"))


def _value(lines: list[Line], wanted: str) -> str:
    return next((value for name, value in lines if name.lower() == wanted), "")


def _without(lines: list[Line], unwanted: str) -> list[Line]:
    return [line for line in lines if line[0].lower() != unwanted]


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return ""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def _moved(url: str, target: str) -> str:
    """Return the address with another path and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return target
    return f"{parts.scheme}://{parts.netloc}{target}" if parts.netloc else target
