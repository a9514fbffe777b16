"""REST: comparison of two flows."""

from __future__ import annotations

import json

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from flows.bodies.complete_flow import load_flow
from flows.compare.flow_pair import pair_json
from flows.rest.record_view import RecordView
from providers.web.rest import Conflict


class PairView(RecordView):
    """Differences of two flows: requests as sent, requests as forwarded, and responses."""

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, flow_id: str, other_id: str) -> HttpResponse:
        """Compare headers by line, JSON bodies by address, everything else by line.

        Streamed responses are compared by their readable text.
        """
        before, after = load_flow(flow_id), load_flow(other_id)
        if before is None or after is None:
            raise NotFound("There is no such flow; it may have been cleared.")
        try:
            text = json.dumps(pair_json(before, after), ensure_ascii=False)
        except RecursionError:
            raise Conflict("These bodies are nested too deeply to be compared over REST.") from None
        # Bytes that are not UTF-8 become question marks: JSON has no way to write them.
        encoded = text.encode("utf-8", "replace")
        return HttpResponse(encoded, content_type="application/json")
