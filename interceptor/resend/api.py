"""REST: send a recorded request again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from flows.bodies.complete_flow import CompleteFlow, load_flow
from flows.models import Resend
from flows.rest.record_view import RecordView
from interceptor.config.snapshot.load import load_snapshot
from interceptor.resend.draft import Draft, ResendError, draft_of, recorded_side
from interceptor.resend.outgoing import Outgoing, outgoing
from interceptor.resend.sender import ResendBusyError, await_flow, send_again
from providers.audit.log import caller_of
from providers.base.errors import CcproxyError
from providers.web.rest import Busy, Conflict, unknown_fields

WAIT_S = 3.0
_EDITABLE = ("method", "path", "headers", "body")
_FIELDS = frozenset({"as", "anyway", *_EDITABLE})

_ASKED = inline_serializer(
    "ResendRequest",
    {
        "as": serializers.ChoiceField(["client", "forwarded"], default="client", required=False),
        "method": serializers.CharField(required=False),
        "path": serializers.CharField(required=False, help_text="With its query."),
        "headers": serializers.CharField(
            required=False, help_text="All of them, “Name: value” one a line."
        ),
        "body": serializers.CharField(required=False, help_text="The complete body as text."),
        "anyway": serializers.BooleanField(
            required=False, help_text="Send a JSON body even if it is none."
        ),
    },
)
_ANSWERED = inline_serializer(
    "Resent",
    {
        "ticket": serializers.CharField(),
        "resent_from": serializers.CharField(),
        "flow": serializers.CharField(
            allow_null=True, help_text="The new flow; null while the proxy has not begun it."
        ),
        "as": serializers.CharField(),
        "edited": serializers.BooleanField(),
        "problem": serializers.CharField(allow_blank=True),
        "notes": serializers.ListField(child=serializers.CharField()),
    },
)


class ResendView(RecordView):
    """Sends a recorded request again, as received or as forwarded, edited or not."""

    acts = {"POST": "resend"}

    @extend_schema(request=_ASKED, responses={202: _ANSWERED})
    def post(self, request: Request, flow_id: str) -> Response:
        """Begin to send; the response is recorded as the flow that is named.

        Needs the right “Can add resend”.
        """
        given = _checked(request.data)
        flow = load_flow(flow_id)
        if flow is None:
            raise NotFound("There is no such flow; it may have been cleared.")
        try:
            asked = _asked(flow, given)
            if asked.problem and not given.get("anyway"):
                raise ParseError({"body": [asked.problem]})
            row = send_again(asked, caller_of(request))
        except ResendBusyError as exc:
            raise Busy(str(exc)) from None
        except CcproxyError as exc:
            raise Conflict(str(exc)) from None
        return Response(_as_json(await_flow(row.ticket, WAIT_S) or row, asked), status=202)


def _checked(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ParseError("Send an object; {} sends the request as its client sent it.")
    if unknown := sorted(set(map(str, data)) - _FIELDS):
        raise ParseError(unknown_fields(unknown[:1], _FIELDS))
    if data.get("as", "client") not in ("client", "forwarded"):
        raise ParseError({"as": ["Choose client or forwarded."]})
    for name in _EDITABLE:
        if name in data and not isinstance(data[name], str):
            raise ParseError({name: ["Give a text."]})
    return data


def _asked(flow: CompleteFlow, given: dict[str, Any]) -> Outgoing:
    """Return the request to send: as recorded, except for the given parts."""
    as_forwarded = given.get("as") == "forwarded"
    draft: Draft | None = None
    parts = {name: given[name] for name in _EDITABLE if name in given}
    if parts:
        known = draft_of(flow, recorded_side(flow, as_forwarded=as_forwarded))
        if known.locked and "body" in parts:
            raise ResendError(known.locked)
        parts["target"] = parts.pop("path", known.target)
        draft = replace(known, **parts)
    return outgoing(flow, load_snapshot(), as_forwarded=as_forwarded, draft=draft)


def _as_json(row: Resend, asked: Outgoing) -> dict[str, Any]:
    return {
        "ticket": row.ticket,
        "resent_from": row.flow_id,
        "flow": row.new_flow_id or None,
        "as": "forwarded" if row.as_forwarded else "client",
        "edited": row.edited,
        "problem": row.problem,
        "notes": asked.notes,
    }
