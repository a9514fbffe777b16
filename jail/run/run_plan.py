"""Plan of a run: variables and arguments of its command, and the doubt if it will be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from jail.run.base_urls import ALL, Route, has_sentinel_key, kept_urls, proxy_variables
from jail.run.client import Client
from jail.run.client_table import client_of


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The command as it is run, and the variables that it gets."""

    command: list[str]
    variables: dict[str, str]
    doubt: str = ""
    """Why its requests may not come through, as one sentence."""
    by_forward: bool = False
    """It has no base URL, and reads the variables of the forward proxy; these are still to add."""
    hosts: tuple[str, ...] = ()
    """Hosts whose TLS the forward proxy reads beside the providers'."""


def plan_for(command: Sequence[str], route: Route, environ: Mapping[str, str]) -> RunPlan:
    """Return the plan of a command. An unknown program is taken for one with the vendors' SDKs."""
    client = client_of(command[0])
    if client is not None and _is_by_forward(client, route, environ):
        return forward_plan_for(command, environ)
    variables = proxy_variables(route, environ, client.vendors if client else ALL)
    if client is not None and not client.vendors:
        return _by_sentinels_alone(client, command, route, environ)
    if client is None:
        return RunPlan(list(command), variables, _kept_sentence(route, environ))
    variables |= client.variables(route, environ)
    doubt = client.doubt(environ)
    if doubt:
        doubt = f"{doubt}; to see it: ccproxy jail -- {command[0]}"
    else:
        doubt = _kept_sentence(route, environ)
    arguments = client.arguments(route, environ)
    return RunPlan([command[0], *arguments, *command[1:]], variables, doubt)


def forward_plan_for(command: Sequence[str], environ: Mapping[str, str]) -> RunPlan:
    """Return the plan of a command that uses the forward proxy."""
    client = client_of(command[0])
    hosts = (*(client.hosts if client else ()), *_own_hosts(environ))
    return RunPlan(list(command), {}, by_forward=True, hosts=hosts)


def _own_hosts(environ: Mapping[str, str]) -> list[str]:
    """Return the hosts of the user's own base URLs, which are as good as a provider's."""
    urls = [environ.get(name, "") for vendor in ALL for name, _ in vendor.urls]
    found = [urlsplit(url).hostname for url in urls if url.startswith("https://")]
    return [host for host in dict.fromkeys(found) if host]


def _is_by_forward(client: Client, route: Route, environ: Mapping[str, str]) -> bool:
    """Return whether a client has no base URL, or none that works here.

    Rules and stored keys need a base URL, so they are refused no client that reads one.
    """
    if client.forward:
        return not _is_by_sentinels(client, route, environ)
    leaves = any(environ.get(name) for name in client.elsewhere)
    return route.own_credentials and not leaves and client.wants_forward(environ)


def _is_by_sentinels(client: Client, route: Route, environ: Mapping[str, str]) -> bool:
    """Return whether a client reads a base URL, and its key is for the proxy."""
    return any(
        not route.own_credentials or has_sentinel_key(vendor, environ)
        for vendor in client.sentinels
    )


def _by_sentinels_alone(
    client: Client, command: Sequence[str], route: Route, environ: Mapping[str, str]
) -> RunPlan:
    """Return the plan of a client whose own key may be for any host.

    A sentinel key is for the proxy in any case, so its vendor's variables are set.
    """
    vendors = tuple(
        vendor for vendor in ALL if not route.own_credentials or has_sentinel_key(vendor, environ)
    )
    doubt = "" if vendors else f"{client.doubt(environ)}; to see it: ccproxy jail -- {command[0]}"
    return RunPlan(list(command), proxy_variables(route, environ, vendors), doubt)


def _kept_sentence(route: Route, environ: Mapping[str, str]) -> str:
    kept = kept_urls(route, environ)
    if not kept:
        return ""
    return (
        f"{', '.join(kept)} stays as you set it, for another host than the vendor's; requests there"
        " do not come through ccproxy"
    )
