"""Rules about callers: Host against DNS rebinding, Origin and Sec-Fetch-Site against web pages.

The proxy spends the accounts of its user, and every page that the user visits can send requests to
this machine. So a request must name this machine (or a name that was configured), and must not come
from a page, unless its origin is listed: that one alone gets CORS headers (`cors`). The same rules
stand before the console, which is itself a page, may talk to itself, and sends no CORS header.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import ip_address

from providers.base.loopback import is_loopback

Header = Callable[[str], str | None]
"""A header's value by lower-case name; None when it is missing."""

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104  # compared with, not bound
_SHOWN_CHARS = 100


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status and one sentence that names the fix."""

    status_code: int
    message: str


@dataclass(frozen=True, slots=True)
class GuardRules:
    """Names and origins that one listener accepts.

    `hosts` and `origins` are lower case; `hosts_setting` and `origins_setting` are the settings
    that hold them.
    """

    bind: str = "127.0.0.1"
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    is_page: bool = False
    """The console: its own pages may call it, and links on other pages may lead to it."""
    hosts_setting: str = "allowed_hosts"
    origins_setting: str = "allowed_origins"


def guard_rules(bind: str, hosts: Collection[str], origins: Collection[str]) -> GuardRules:
    """Return the proxy's rules from its settings."""
    return GuardRules(
        bind=bind.strip("[]").lower(),
        hosts=frozenset(name.lower() for name in hosts),
        origins=frozenset(origin.lower().rstrip("/") for origin in origins),
    )


def check_caller(
    method: str, header: Header, rules: GuardRules, known_hosts: Collection[str] = ()
) -> Refusal | None:
    """Return the reason to refuse a request, or None.

    Args:
        method: the request's method.
        header: its headers.
        rules: the listener's.
        known_hosts: further names it may be called by, lower case: the providers' hosts.
    """
    return check_host(header("host"), rules, known_hosts) or check_origin(method, header, rules)


def check_host(
    value: str | None, rules: GuardRules, known_hosts: Collection[str] = ()
) -> Refusal | None:
    """Require a name of this machine in Host, on any port. A rebound name is the attacker's own."""
    found = _HOST.fullmatch(value or "")
    if found is None:
        return Refusal(400, "The Host header is malformed.")
    name = found[1].strip("[]").lower().rstrip(".")
    if (
        is_loopback(name)
        or _is_listed(name, rules.hosts)
        or name in known_hosts
        or name == rules.bind
    ):
        return None
    if rules.bind in _WILDCARDS and _is_address(name):
        return None  # a page cannot rebind an address, only a name
    return Refusal(
        421,
        f"ccproxy is not known by the name “{name[:_SHOWN_CHARS]}”. Call it by 127.0.0.1 or"
        f" localhost, or add the name to {rules.hosts_setting} in ccproxy.yaml.",
    )


def check_origin(method: str, header: Header, rules: GuardRules) -> Refusal | None:
    """Accept programs and configured pages only. A browser names the page it acts for."""
    origin = header("origin")
    is_listed = is_listed_origin(origin, rules)
    asks_first = header("access-control-request-method") or header(
        "access-control-request-private-network"
    )
    if asks_first and (rules.is_page or not is_listed):
        return Refusal(403, _preflight_refusal(origin, rules))
    if is_listed:
        return None
    is_own_page = rules.is_page and _same_site_as(origin or "", header("host"))
    if origin is not None and not is_own_page:
        return Refusal(
            403,
            f"This request comes from a web page at {_shown(origin)}, and pages may not call"
            f" ccproxy. If it is a program of yours, add its origin to {rules.origins_setting}"
            " in ccproxy.yaml.",
        )
    site = header("sec-fetch-site") or "none"
    if site.lower() in ("none", "same-origin") or (rules.is_page and _is_link(method, header)):
        return None
    return Refusal(
        403, "This request comes from a page of another site, and pages may not call ccproxy."
    )


def is_listed_origin(origin: str | None, rules: GuardRules) -> bool:
    """Return whether the origin is in the setting; `null` and `*` never are."""
    if origin is None or origin in ("null", "*"):
        return False
    return origin.lower().rstrip("/") in rules.origins


def _preflight_refusal(origin: str | None, rules: GuardRules) -> str:
    text = "ccproxy answers no CORS preflight: web pages may not call it."
    if rules.is_page or not origin:
        return text
    return (
        f"{text} If {_shown(origin)} is a program of yours, add it to {rules.origins_setting} in"
        " ccproxy.yaml."
    )


def _is_listed(name: str, hosts: Collection[str]) -> bool:
    """Return whether a name is listed itself, or below a listed one with a leading dot
    (".example.com").
    """
    return name in hosts or any(
        host.startswith(".") and f".{name}".endswith(host) for host in hosts
    )


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _same_site_as(origin: str, host: str | None) -> bool:
    """Return whether the origin is this listener. A TLS terminator in front decides the scheme."""
    scheme, _, rest = origin.lower().partition("://")
    default = {"http": ":80", "https": ":443"}.get(scheme)
    own = (host or "").lower()
    return default is not None and rest.removesuffix(default) == own.removesuffix(default)


def _is_link(method: str, header: Header) -> bool:
    """Return whether a user followed a link: reading alone, in a window of its own."""
    navigates = header("sec-fetch-mode") == "navigate" and header("sec-fetch-dest") == "document"
    return navigates and method in ("GET", "HEAD")


def _shown(origin: str) -> str:
    return "".join(c for c in origin[:_SHOWN_CHARS] if c.isprintable())
