"""HTTP proxies between this machine and the providers, such as a company's.

Chosen by a setting or by the usual variables. No Django.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from providers.base.errors import ConfigError
from providers.base.loopback import is_loopback

SETTING = "upstream_proxy"
DIRECT = "direct"
"""Value of the setting that ignores the variables."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class UpstreamProxy:
    """Address of a proxy that understands HTTP CONNECT, and who it lets in."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    origin: str
    """The setting or the variable that named it."""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def label(self) -> str:
        """Its name in messages: `the proxy proxy.corp:3128 (HTTPS_PROXY)`. Without credentials."""
        return f"the proxy {_bracketed(self.host)}:{self.port} ({self.origin})"

    @property
    def url(self) -> str:
        """Its URL without credentials."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"

    @property
    def auth(self) -> tuple[str, str] | None:
        """User name and password, or None."""
        if self.username or self.password:
            return self.username, self.password
        return None

    @property
    def authorization(self) -> str:
        """The value of Proxy-Authorization (RFC 7617), or ""."""
        if self.auth is None:
            return ""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


@dataclass(frozen=True, slots=True)
class Exemption:
    """One entry of NO_PROXY; port 0 means any.

    `name` is a host with its subdomains, "" for every host. A network is for addresses.
    """

    name: str = ""
    port: int = 0
    network: IPv4Network | IPv6Network | None = None

    def covers(self, host: str, port: int) -> bool:
        """Return whether the entry exempts a destination."""
        if self.port not in (0, port):
            return False
        if self.network is not None:
            try:
                return ip_address(host) in self.network
            except ValueError:
                return False
        return not self.name or host == self.name or host.endswith(f".{self.name}")


@dataclass(frozen=True, slots=True)
class UpstreamProxies:
    """The proxies by the scheme of the destination, and what is reached without them."""

    https: UpstreamProxy | None = None
    http: UpstreamProxy | None = None
    exemptions: tuple[Exemption, ...] = ()

    def of(self, scheme: str, host: str, port: int) -> UpstreamProxy | None:
        """Return the proxy for a destination; None: it is reached directly."""
        chosen = self.https if scheme == "https" else self.http
        if chosen is None or is_loopback(host):
            return None
        name = host.lower().rstrip(".").strip("[]")
        if any(exemption.covers(name, port) for exemption in self.exemptions):
            return None
        return chosen

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that no log and no record may show."""
        found: list[str] = []
        for proxy in (self.https, self.http):
            if proxy is not None and proxy.auth is not None:
                found += [proxy.password, proxy.authorization.removeprefix("Basic ")]
        return tuple(dict.fromkeys(value for value in found if value))


def choose_proxies(
    setting: str | None, environ: Mapping[str, str]
) -> tuple[UpstreamProxies, tuple[str, ...]]:
    """Return the proxies, and a sentence for each variable that cannot be used.

    The setting is for every scheme and wins over the variables; NO_PROXY holds for both. A lower
    case variable wins over its upper case spelling, as in curl.

    Raises:
        ConfigError: the setting is no address of an HTTP proxy.
    """
    exemptions = parse_no_proxy(_variable(environ, "NO_PROXY")[1])
    if setting is not None:
        chosen = parse_setting(setting)
        return UpstreamProxies(chosen, chosen, exemptions), ()
    notes: dict[str, None] = {}
    by_scheme: dict[str, UpstreamProxy | None] = {}
    for scheme in ("https", "http"):
        name, text = _variable(environ, f"{scheme.upper()}_PROXY")
        if not text:
            name, text = _variable(environ, "ALL_PROXY")
        try:
            by_scheme[scheme] = parse_proxy(text, name) if text else None
        except ConfigError as exc:
            by_scheme[scheme] = None
            notes[f"{exc}; providers are reached without it"] = None
    return UpstreamProxies(by_scheme["https"], by_scheme["http"], exemptions), tuple(notes)


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return the spelling that is set, and its value."""
    for spelling in (name.lower(), name):
        if value := environ.get(spelling, "").strip():
            return spelling, value
    return name, ""


def parse_setting(text: str) -> UpstreamProxy | None:
    """Return the proxy that the setting names; None for `direct`.

    Raises:
        ConfigError: it is no address of an HTTP proxy. The message never shows it.
    """
    return None if text.strip().lower() == DIRECT else parse_proxy(text, SETTING)


def parse_proxy(text: str, origin: str) -> UpstreamProxy:
    """Return the proxy of a URL; a bare `host:port` is one of http.

    `http://me:p%40ss@proxy.corp:3128` → host proxy.corp, port 3128, password p@ss

    Raises:
        ConfigError: what is wrong with it. The message never shows it: it may hold a password.
    """
    text = text.strip()
    parts = _split(text if "://" in text else f"http://{text}", origin)
    scheme: Literal["http", "https"]
    if parts.scheme == "http":
        scheme = "http"
    elif parts.scheme == "https":
        scheme = "https"
    else:
        raise ConfigError(
            f"{origin}: a proxy of the kind {parts.scheme}:// is not supported; it should be an"
            " HTTP proxy, such as http://proxy.corp:3128"
        )
    if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _no_url(origin)
    return UpstreamProxy(
        scheme=scheme,
        host=parts.hostname,
        port=parts.port or _DEFAULT_PORTS[scheme],
        origin=origin,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _split(url: str, origin: str) -> SplitResult:
    if any(c.isspace() or not c.isprintable() for c in url):
        raise _no_url(origin)
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        _ = parts.port
    except ValueError:
        raise _no_url(origin) from None
    return parts


def _no_url(origin: str) -> ConfigError:
    return ConfigError(
        f"{origin}: should be the URL of an HTTP proxy, such as http://proxy.corp:3128 or"
        " http://user:password@proxy.corp:3128; write special characters of a password as %XX"
    )


def parse_no_proxy(text: str) -> tuple[Exemption, ...]:
    """Return the entries of a NO_PROXY list, divided by commas or spaces.

    `.corp, 10.0.0.0/8, box:8080, *` → corp with its subdomains, a network, one port, everything
    """
    return tuple(_exemption(entry) for entry in text.replace(",", " ").lower().split())


def _exemption(entry: str) -> Exemption:
    if entry == "*":
        return Exemption()
    if (network := _network(entry.strip("[]"))) is not None:
        return Exemption(network=network)
    host, colon, port = entry.rpartition(":")
    if not colon or not port.isdecimal():
        host, port = entry, "0"
    network = _network(host.strip("[]"))
    # A leading dot or star says what holds anyway: subdomains are meant too.
    name = host.removeprefix("*").strip(".")
    return Exemption(name=name, port=int(port), network=network)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
