"""Sources of dry runs (recorded flows, JSON, pasted requests), and their results as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from flows.bodies.complete_flow import CompleteFlow
from flows.compare.compared_request import ComparedRequest
from flows.compare.request_change import RequestChange, compare_requests
from flows.reading.body_view import body_view
from flows.record import HookStep
from interceptor.explain.explanation import DryRequest, Explanation, RuleVerdict
from providers.base.errors import CcproxyError

MAX_HEADERS: Final = 500
_METHOD = re.compile(r"[A-Za-z]{1,32}")
_FIRST_LINE = re.compile(r"([A-Za-z]{1,32})\s+(\S+)(?:\s+HTTP/[0-9.]+)?\s*")


class RequestError(CcproxyError):
    """A text or object that cannot be read as a request; the message says what is missing."""


def of_flow(flow: CompleteFlow) -> DryRequest:
    """Return the request of a recorded flow as its client sent it.

    Raises:
        RequestError: its body was not kept.
    """
    side = flow.side("client", "forwarded")
    if side is None:
        raise RequestError("The client's side of this flow was not recorded.")
    stored = flow.stored(side)
    if stored is None or side.body_truncated:
        raise RequestError(
            "The body of this flow was not kept completely, so the request cannot be tried again."
        )
    headers = tuple((str(name), str(value)) for name, value in side.headers)
    if side.body_decoded:
        headers = tuple(line for line in headers if line[0].lower() != "content-encoding")
    source = "reverse" if flow.flow.source == "import" else flow.flow.source
    method, url = side.method or flow.flow.method, side.url or flow.flow.path
    return DryRequest(method, url, headers, stored, source, admitted=True)


def of_json(data: Mapping[str, Any]) -> DryRequest:
    """Return the request of a JSON object.

    Example: `{"method": "POST", "url": "/v1/messages", "headers": {"x-api-key": "k"}, "body": {}}`.
    Headers may be a list of [name, value] too, and the body a text.

    Raises:
        RequestError: naming the field that is wrong.
    """
    method, url, body = data.get("method", "POST"), data.get("url"), data.get("body", "")
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise RequestError("“method” has to be the name of an HTTP method.")
    if not isinstance(url, str) or not url.strip():
        raise RequestError("“url” is missing: a path such as /v1/messages, or a complete address.")
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return DryRequest(
        method.upper(),
        url.strip(),
        _headers(data.get("headers", [])),
        text.encode("utf-8", "replace"),
    )


def _headers(given: Any) -> tuple[tuple[str, str], ...]:
    lines = list(given.items()) if isinstance(given, dict) else given
    wrong = RequestError("“headers” has to be an object of texts, or a list of [name, value].")
    if not isinstance(lines, list) or len(lines) > MAX_HEADERS:
        raise wrong
    for line in lines:
        if not (
            isinstance(line, list | tuple)
            and len(line) == 2
            and all(isinstance(part, str) for part in line)
        ):
            raise wrong
    return tuple((name, value) for name, value in lines)


def of_text(text: str) -> DryRequest:
    """Return a pasted HTTP request: a line "POST /v1/messages", headers, an empty line, the body.

    Raises:
        RequestError: the first line is no request line, or a header has no colon.
    """
    head, _, body = text.replace("\r\n", "\n").lstrip().partition("\n\n")
    first, *lines = head.split("\n")
    found = _FIRST_LINE.fullmatch(first)
    if found is None:
        raise RequestError("The first line has to be like: POST /v1/messages")
    headers = []
    for line in lines[: MAX_HEADERS + 1]:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise RequestError(
                f"“{line[:60]}” is no header: write Name: value, and an empty line before the body."
            )
        headers.append([name.strip(), value.strip()])
    return of_json({"method": found[1], "url": found[2], "headers": headers, "body": body})


def difference(found: Explanation) -> RequestChange:
    """Compare the client's request with the one that would leave."""
    request = found.request
    encoding = next(
        (value for name, value in request.headers if name.lower() == "content-encoding"), ""
    )
    after = next((value for name, value in found.headers if name.lower() == "content-encoding"), "")
    sent = forwarded = None
    if request.body != found.body:
        sent = body_view("", request.body, "", encoding)
        forwarded = body_view("", found.body, "", after)
    return compare_requests(
        ComparedRequest(request.url, request.headers, sent),
        ComparedRequest(found.url, found.headers, forwarded),
    )


def body_lines(found: Explanation, *, forwarded: bool) -> list[str]:
    """Return headers and body of one side as lines, JSON pretty-printed."""
    headers = found.headers if forwarded else found.request.headers
    body = found.body if forwarded else found.request.body
    encoding = next((value for name, value in headers if name.lower() == "content-encoding"), "")
    view = body_view("", body, "", encoding)
    lines = [f"{name}: {value}" for name, value in headers]
    if view.kind == "json":
        try:
            return [
                *lines,
                "",
                *json.dumps(view.json.value, indent=2, ensure_ascii=False).split("\n"),
            ]
        except RecursionError:
            pass
    return [*lines, "", *view.plain.decode("utf-8", "replace").splitlines()]


def as_json(found: Explanation) -> dict[str, Any]:
    """Return the explanation for programs."""
    decision = found.decision
    return {
        "client_format": found.client_format,
        "requested_model": found.requested_model,
        "session_id": found.session_id,
        "problem": found.problem,
        "status_code": found.status_code or None,
        "action": decision.action if decision else None,
        "route": decision.route if decision else None,
        "rule": decision.rule.label if decision and decision.rule else None,
        "provider": decision.provider.name if decision and decision.provider else None,
        "provider_format": decision.provider_format if decision else None,
        "model": (decision.model if decision else "") or found.requested_model,
        "model_note": found.model_note,
        "chain": [
            {"candidate": _text(each.name), "verdict": each.verdict, "chosen": each.chosen}
            for each in found.chain
        ],
        "credential": found.credential,
        "rules": [_rule(verdict) for verdict in found.rules],
        "hooks": [_step(step) for step in found.steps],
        "losses": [list(loss) for loss in found.losses],
        "answer": found.answer.decode("utf-8", "replace") if found.answer else None,
        "forwarded": _forwarded(found) if found.leaves else None,
    }


def _rule(verdict: RuleVerdict) -> dict[str, Any]:
    conditions = [
        {"name": c.name, "wanted": c.wanted, "seen": _text(c.seen), "holds": c.holds}
        for c in verdict.conditions
    ]
    return {
        "id": verdict.rule.id,
        "name": verdict.rule.label,
        "reached": verdict.reached,
        "matches": verdict.matches,
        "conditions": conditions,
    }


def _step(step: HookStep) -> dict[str, Any]:
    return {
        "stage": step.stage,
        "hook": step.hook,
        "outcome": step.outcome,
        "reason": step.reason,
        "changed": list(step.changed),
    }


def _forwarded(found: Explanation) -> dict[str, Any]:
    headers = [[_text(name), _text(value)] for name, value in found.headers]
    return {
        "url": _text(found.url),
        "headers": headers,
        "body": found.body.decode("utf-8", "replace"),
    }


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()
