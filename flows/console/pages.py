"""Pages of one flow, and its bodies. Each view asks a query and renders."""

from __future__ import annotations

import re
from typing import NamedTuple

from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    JsonResponse,
)
from django.shortcuts import render
from django.template.loader import render_to_string

from flows.console.page_access import console_page, wants_part
from flows.console.tabs import TABS, default_tab, tab_names
from flows.display import json_tree
from flows.display.safe_text import printable
from flows.export.kinds import KINDS
from flows.live.answer_so_far import answer_since
from flows.models import WebSocketMessage
from flows.queries import selectors
from flows.queries.resends import resends_of
from flows.queries.rights import VIEW_FLOWS
from flows.reading.body_view import body_view, side_body
from flows.reading.sentence import changed_hooks, sentence
from flows.sides import header

_HOOK_BODY = re.compile(r"hook-(?P<seq>[0-9]{1,5})-(?P<when>before|after)")
_MESSAGE_BODY = re.compile(r"message-(?P<seq>[0-9]{1,9})")


@console_page(VIEW_FLOWS)
def flow_page(request: HttpRequest, flow_id: str) -> HttpResponse:
    """Show one flow; the URL names the tab and the selection in it."""
    detail = selectors.flow_detail(flow_id)
    if detail is None:
        return render(request, "flows/missing.html", {"flow_id": printable(flow_id)}, status=404)
    flow = detail.flow
    tabs = tab_names(flow)
    tab = request.GET.get("tab", "")
    if all(tab != name for name, _ in tabs):
        tab = default_tab(flow)
    # Every routed request gets a credential; that alone is no change worth a mark.
    worth_a_mark = set(changed_hooks(flow)) - {"inject_auth"}
    context = {
        "flow": flow,
        "tabs": tabs,
        "tab": tab,
        "panel": f"flows/_{tab}.html",
        "changed": bool(worth_a_mark),
        "kinds": KINDS,
        "sentence": sentence(flow, detail.traces, detail.attempts),
        # A function: only the top of the page asks for them.
        "resends": lambda: resends_of(flow.pk),
        **TABS[tab](detail, request.GET),
    }
    if tab == "response" and request.GET.get("beside"):
        client = {"flow": flow, "tab": tab, **TABS["client"](detail, request.GET)}
        context["beside"] = render_to_string("flows/_client.html", client, request)
    if wants_part(request):
        template = "flows/_flow.html" if request.GET.get("whole") else "flows/_tabs.html"
        return render(request, template, context)
    neighbours = selectors.neighbours(flow)
    context["newer"] = neighbours.newer
    context["older"] = neighbours.older
    return render(request, "flows/detail.html", context)


@console_page(VIEW_FLOWS)
def flow_partial(request: HttpRequest, flow_id: str) -> HttpResponse:
    """Return the readable part of a running response from byte `from` on, as JSON."""
    flow = selectors.find_flow(flow_id)
    if flow is None:
        raise Http404("There is no such flow.")
    wanted = request.GET.get("from", "0")
    offset = int(wanted) if re.fullmatch(r"[0-9]{1,15}", wanted) else 0
    partial = answer_since(flow, offset)
    pieces = [(kind, printable(text)) for kind, text in partial.pieces]
    return JsonResponse({"state": partial.state, "next": partial.next, "pieces": pieces})


@console_page(VIEW_FLOWS)
def flow_json(request: HttpRequest, flow_id: str, source: str) -> HttpResponse:
    """Return one folded branch of a JSON body, when a reader opens it."""
    side = selectors.sides_of(flow_id).get(source)
    if side is None:
        raise Http404("There is no such body.")
    body = side_body(side, selectors.load_bodies([side.body_digest]))
    pointer = request.GET.get("path", "")
    try:
        branch = json_tree.resolve(body.json.value, pointer)
    except LookupError:
        raise Http404("There is no such branch.") from None
    return HttpResponse(json_tree.branch(branch, request.path, pointer))


@console_page(VIEW_FLOWS)
def flow_body(request: HttpRequest, flow_id: str, source: str) -> HttpResponse:
    """Return a body as a download, without its content encoding; `?wire=1` keeps the encoding."""
    stored = _stored_body(flow_id, source)
    if stored is None:
        raise Http404("There is no such body: it was empty, dropped, or pruned.")
    data = stored.data
    if stored.encoding and not request.GET.get("wire"):
        data = body_view("", data, encoding=stored.encoding).plain
    name = f"{_safe(flow_id)[:36]}-{_safe(source)}.{_extension(stored)}"
    response = HttpResponse(data, content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


class _BodyReference(NamedTuple):
    digest: str
    encoding: str = ""
    content_type: str = ""


class _StoredBody(NamedTuple):
    data: bytes
    encoding: str
    content_type: str


def _stored_body(flow_id: str, source: str) -> _StoredBody | None:
    """Load a body by its name: `client`, ..., `hook-3-before` or `message-5`."""
    reference = _body_reference(flow_id, source)
    if reference is None:
        return None
    data = selectors.load_bodies([reference.digest]).get(reference.digest)
    if data is None:
        return None
    return _StoredBody(data, reference.encoding, reference.content_type)


def _body_reference(flow_id: str, source: str) -> _BodyReference | None:
    hook = _HOOK_BODY.fullmatch(source)
    if hook:
        seq = int(hook["seq"])
        trace = next((one for one in selectors.traces_of(flow_id) if one.seq == seq), None)
        if trace is None:
            return None
        digest = trace.body_before if hook["when"] == "before" else trace.body_after
        return _BodyReference(digest)

    numbered = _MESSAGE_BODY.fullmatch(source)
    if numbered:
        seq = int(numbered["seq"])
        message = WebSocketMessage.objects.filter(flow_id=flow_id, seq=seq).first()
        return _BodyReference(message.body_digest) if message else None

    side = selectors.sides_of(flow_id).get(source)
    if side is None:
        return None
    encoding = "" if side.body_decoded else header(side.headers, "content-encoding")
    return _BodyReference(side.body_digest, encoding, header(side.headers, "content-type"))


def _extension(stored: _StoredBody) -> str:
    if "json" in stored.content_type or stored.data[:1] in (b"{", b"["):
        return "json"
    return "txt" if stored.content_type.startswith("text/") else "bin"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "_", name)
