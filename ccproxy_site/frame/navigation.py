"""Pages of the console and the admin as one navigation: sections, addresses, rights.

The top bar of every page and the palette of Ctrl+K are made of this table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from django.http import HttpRequest
from django.urls import get_script_prefix, reverse

ADMIN_INDEX: Final = "admin:index"


@dataclass(frozen=True, slots=True)
class Page:
    """A page that the navigation links to."""

    title: str
    name: str
    """The name of its route."""
    rights: tuple[str, ...] = ()
    """Rights that a visitor needs, all of them."""
    words: str = ""
    """Further words that find it in the palette."""
    below: str = ""
    """Beginning of addresses that belong to it, where its own address begins them not."""


@dataclass(frozen=True, slots=True)
class Section:
    """Pages under one heading. Without a heading, they stand in the bar itself."""

    title: str
    pages: tuple[Page, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A page as one visitor sees it."""

    title: str
    address: str
    words: str
    below: str
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class Menu:
    """A section as one visitor sees it."""

    title: str
    links: tuple[Link, ...]

    @property
    def is_current(self) -> bool:
        return any(link.is_current for link in self.links)


def _model(title: str, model: str, words: str = "") -> Page:
    """Return the admin's list of a model; `model` is `app_model`, as in names of routes."""
    app, _, name = model.partition("_")
    return Page(title, f"admin:{model}_changelist", (f"{app}.view_{name}",), words)


NAVIGATION: Final = (
    Section(
        "",
        (
            Page("Dashboard", "dashboard", ("flows.view_flow",), "home today plots latency"),
            Page("Flows", "flows:list", ("flows.view_flow",), "requests traffic list"),
            Page(
                "Sessions",
                "flows:sessions",
                ("flows.view_flow",),
                "conversations",
                below="/flows/session/",
            ),
            Page("Usage", "usage:page", ("flows.view_flow",), "cost tokens spend"),
        ),
    ),
    Section(
        "Configure",
        (
            _model("Providers", "providers_provider", "vendors keys"),
            Page(
                "Credentials",
                "admin:providers_auth_board",
                ("providers.view_provider",),
                "keys logins oauth test",
            ),
            _model("Rules", "providers_transformrule", "routes transform redirect"),
            _model("Hooks", "interceptor_hooksetting", "pipeline"),
            Page("Shapes", "shapes:list", ("shapes.view_shape",), "patterns fingerprint"),
            _model("Shape rows", "shapes_shape", "admin"),
            _model("Client tokens", "interceptor_clienttoken", "access"),
            _model("Own prices", "providers_priceoverride", "cost"),
            _model("Model facts", "providers_modelfact", "limits parameters"),
            _model("Perplexity models", "interceptor_perplexitymodel"),
        ),
    ),
    Section(
        "Tools",
        (
            Page("Explain", "explain", ("flows.view_flow",), "dry run route why"),
            Page(
                "Try a rule",
                "rule-trial",
                ("flows.view_flow", "providers.view_transformrule"),
                "trial",
            ),
            Page("Models", "models", ("flows.view_flow",), "facts parameters"),
            Page("Import flows", "flows:import", ("flows.add_flow",), "har mitmproxy file"),
            _model("Flow rows", "flows_flow", "admin delete"),
            Page("API docs", "api-docs", (), "rest swagger openapi"),
        ),
    ),
    Section(
        "System",
        (
            Page("Status", ADMIN_INDEX, (), "health interceptors queue dropped"),
            _model("Interceptors", "interceptor_interceptorstatus", "processes heartbeat"),
            _model("Notices", "ccproxy_site_sentnotice", "alerts webhook failures"),
            _model("Audit log", "providers_auditentry", "history who"),
            _model("API tokens", "authtoken_tokenproxy", "rest"),
            _model("Users", "auth_user", "accounts"),
            _model("Groups", "auth_group", "rights"),
        ),
    ),
)
"""THE list of pages that need no further choice, such as a flow's id."""


def menus(request: HttpRequest) -> tuple[Menu, ...]:
    """Return the navigation of a visitor: what they may not open is absent."""
    if not request.user.is_staff:
        return ()
    found = []
    for section in NAVIGATION:
        links = tuple(_links(request, section.pages))
        if links:
            found.append(Menu(section.title, links))
    return _with_current(found, request.path)


def title_at(address: str) -> str:
    """Return the title of the page of the navigation at an address; "" for any other address."""
    pages = [page for section in NAVIGATION for page in section.pages]
    return next((page.title for page in pages if _address_of(page.name) == address), "")


def _links(request: HttpRequest, pages: Sequence[Page]) -> Iterator[Link]:
    for page in pages:
        if request.user.has_perms(page.rights):
            yield Link(page.title, _address_of(page.name), page.words, page.below)


def _address_of(name: str) -> str:
    """Return the path of a route without arguments."""
    return _address_below(get_script_prefix(), name)


@cache
def _address_below(_prefix: str, name: str) -> str:
    """Remember addresses: each page asks for those of all links.

    They differ only by the prefix that a server in front of the console gives it.
    """
    return reverse(name)


def _with_current(found: Sequence[Menu], path: str) -> tuple[Menu, ...]:
    """Flag the link with the longest address that begins `path`.

    /flows/import/ is Import's, /flows/a1b2/ is the list's. The admin's index stands for itself.
    """
    links = [link for menu in found for link in menu.links]
    index = _address_of(ADMIN_INDEX)
    current = max(links, key=lambda link: _begun_chars(link, path, index), default=None)
    if current is None or not _begun_chars(current, path, index):
        return tuple(found)
    return tuple(replace(menu, links=_flagged(menu.links, current)) for menu in found)


def _begun_chars(link: Link, path: str, index: str) -> int:
    """Return how much of `path` the link's addresses begin; 0 when it belongs to another page.

    The admin's `index` begins the addresses of all its pages, so it stands for itself alone.
    """
    if link.address == index:
        return len(path) if path == link.address else 0
    longest = 0
    for start in (link.address, link.below):
        if start and path.startswith(start):
            longest = max(longest, len(start))
    return longest


def _flagged(links: Sequence[Link], current: Link) -> tuple[Link, ...]:
    return tuple(replace(link, is_current=link == current) for link in links)
