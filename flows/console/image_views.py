"""Views beside the Conversation tab: images that travel in requests."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse

from flows.console.conversation_tab import chat_image
from flows.console.page_access import console_page
from flows.queries import selectors
from flows.queries.rights import VIEW_FLOWS


@console_page(VIEW_FLOWS)
def flow_image(request: HttpRequest, flow_id: str, part: str, number: int) -> HttpResponse:
    """Return an image of a request; only of types that cannot carry scripts."""
    del request
    image = chat_image(selectors.flow_detail(flow_id), part, number)
    if image is None:
        raise Http404("There is no such image.")
    response = HttpResponse(image.data, content_type=image.media_type)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
