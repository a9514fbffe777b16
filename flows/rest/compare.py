"""REST: two flows compared."""

from __future__ import annotations

import json

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.views import APIView

from flows.bodies.complete_flow import load_flow
from flows.compare.flow_pair import pair_json
from providers.web.rest import Conflict


class PairView(APIView):
    """What differs between two flows: their requests as sent and as forwarded, and their
    answers.
    """

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, flow_id: str, other_id: str) -> HttpResponse:
        """Headers by line, JSON bodies by place, everything else by line; streams by what
        they say.
        """
        if not request.user.has_perm("flows.view_flow"):
            raise PermissionDenied
        before, after = load_flow(flow_id), load_flow(other_id)
        if before is None or after is None:
            raise NotFound("There is no such flow; it may have been cleared.")
        try:
            # Bytes that are no UTF-8 become question marks here: JSON has no way to write them.
            text = json.dumps(pair_json(before, after), ensure_ascii=False).encode(
                "utf-8", "replace"
            )
        except RecursionError:
            raise Conflict("These bodies are nested too deeply to be compared over REST.") from None
        return HttpResponse(text, content_type="application/json")
