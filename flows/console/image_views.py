"""Views beside the Conversation tab: images that travel in requests."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse

from flows.console.conversation_tab import chat_image
from flows.console.pages import console_page
from flows.queries import selectors


@console_page
def flow_image(request: HttpRequest, flow_id: str, part: str, number: int) -> HttpResponse:
    """An image that travels in a request, as the browser may show it: only kinds that cannot carry
    scripts.
    """
    del request
    found = chat_image(selectors.flow_detail(flow_id), part, number)
    if found is None:
        raise Http404("There is no such image.")
    response = HttpResponse(found[0], content_type=found[1])
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
