"""Rows of the list of flows as HTML, by a template that Jinja compiled.

With Django's templates, the 60 rows of a page took 100 ms of processor time; so they take a tenth.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Final
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template import Engine
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from flows.console.flow_list.filter_links import FilterLinks
from flows.display import units
from flows.models import Flow
from flows.search.hits import Hit

TEMPLATE: Final = "flow_rows.html"
_FLOW: Final = "FLOW"
_ELLIPSIS: Final = "…"
_UNQUOTED: Final = "/~:@!$&'()*+,;="
"""What Django leaves as it is in addresses."""


class RowTable:
    """Rows of one page, with its columns, its search and the visitor's rights."""

    def __init__(
        self, request: HttpRequest, columns: Collection[str], hits: Mapping[str, Hit]
    ) -> None:
        self._context = {
            "columns": columns,
            "hits": hits,
            "link": FilterLinks(request),
            "address": _Addresses(),
            "may_pin": request.user.has_perm("flows.change_flow"),
            "csrf_token": get_token(request),
        }

    def html(self, shown: Sequence[Flow]) -> SafeString:
        """Return the rows of flows."""
        return mark_safe(_template().render(self._context, flows=shown))  # noqa: S308


class _Addresses:
    """Addresses of a flow's pages. Asking Django for each of them takes longer than its row."""

    def __init__(self) -> None:
        self.detail = _Address("flows:detail")
        self.pin = _Address("flows:pin")
        self.resend = _Address("resend")
        self.shape = _Address("shapes:capture")
        self._sessions: dict[str, str] = {}

    def session(self, session_id: str) -> str:
        """Return the address of a session's page."""
        if session_id not in self._sessions:
            self._sessions[session_id] = reverse("flows:session", args=[session_id])
        return self._sessions[session_id]


class _Address:
    """A route with a flow's id in it."""

    def __init__(self, name: str) -> None:
        self._start, self._end = reverse(name, args=[_FLOW]).split(_FLOW)

    def __call__(self, flow_id: str) -> str:
        return f"{self._start}{quote(flow_id, safe=_UNQUOTED)}{self._end}"


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(settings.TEMPLATES_DIR / "jinja2"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    libraries = Engine.get_default().template_libraries
    environment.filters |= libraries["flows"].filters | libraries["console"].filters
    environment.filters["cut"] = _cut
    environment.globals |= {
        "plural": units.plural,
        "pin_icon": render_to_string("flows/_pin_icon.html"),
    }
    return environment.get_template(TEMPLATE)


def _cut(text: str, chars: int) -> str:
    """Return at most so many characters of a text: ("abcdef", 4) → "abc…"."""
    return text if len(text) <= chars else f"{text[: chars - 1]}{_ELLIPSIS}"
