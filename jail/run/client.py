"""A client of `ccproxy run`: how it is pointed at the proxy, or why it cannot be. No Django."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from jail.run.base_urls import Route, Vendor

UNTRIED: Final = "not tried"
"""Version of a client that could not be installed where the table was made."""


def _nothing(route: Route, environ: Mapping[str, str]) -> list[str]:
    del route, environ
    return []


def _never(environ: Mapping[str, str]) -> bool:
    del environ
    return False


def _no_variables(route: Route, environ: Mapping[str, str]) -> dict[str, str]:
    del route, environ
    return {}


@dataclass(frozen=True, slots=True)
class Client:
    """A client: its program, the vendors whose base URLs it reads, and what it needs."""

    title: str
    program: str
    vendors: tuple[Vendor, ...]
    note: str
    version: str
    """The version that was observed, or `UNTRIED`."""
    arguments: Callable[[Route, Mapping[str, str]], list[str]] = _nothing
    """Arguments that stand in front of the user's own."""
    variables: Callable[[Route, Mapping[str, str]], dict[str, str]] = _no_variables
    elsewhere: tuple[str, ...] = ()
    """Variables of the user by which it leaves the vendor's own host, and so the proxy."""
    forward: bool = False
    """It has no base URL, but reads the variables of the forward proxy."""
    wants_forward: Callable[[Mapping[str, str]], bool] = _never
    """Its base URL does not work with this user's settings."""
    hosts: tuple[str, ...] = ()
    """Hosts of its own service, which the forward proxy reads."""
    sentinels: tuple[Vendor, ...] = ()
    """Vendors whose base URL it reads, although its own key may be for any host."""

    def doubt(self, environ: Mapping[str, str]) -> str:
        """Return why its requests will not come through; "" where nothing is known against it."""
        if not self.vendors:
            return f"{self.title} cannot be pointed at the proxy: {self.note}"
        used = next((name for name in self.elsewhere if environ.get(name)), "")
        if used:
            return f"{used} sends {self.title} to another host"
        if self.wants_forward(environ):
            return f"{self.title} refuses a base URL until its settings select an API key"
        return ""


def jailed(title: str, program: str, version: str, note: str) -> Client:
    return Client(title, program, (), note, version)


def forwarded(
    title: str, program: str, version: str, note: str, hosts: tuple[str, ...] = ()
) -> Client:
    return Client(title, program, (), note, version, forward=True, hosts=hosts)
