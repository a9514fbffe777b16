"""Where telemetry goes: the settings, and the standard variables `OTEL_EXPORTER_OTLP_*`. Pure.

The variables count where the settings are silent: `otel.endpoint` at its default, `otel.protocol`
null. Those of one signal (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) win over the general ones. Source:
the OTLP exporter specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from providers.base.errors import ConfigError

Protocol = Literal["grpc", "http/protobuf"]
Signal = Literal["traces", "metrics"]

GRPC: Final = "grpc"
HTTP: Final = "http/protobuf"
DEFAULT_ENDPOINT: Final = "http://localhost:4317"
_DEFAULT_HTTP_ENDPOINT: Final = "http://localhost:4318"
_PREFIX: Final = "OTEL_EXPORTER_OTLP_"
_DEFAULT_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """Collector of one signal, and how to reach it.

    `address` is HOST:PORT for gRPC, the complete URL for HTTP. Paths of files are "" where none is
    set.
    """

    protocol: Protocol
    address: str
    is_plain: bool
    headers: tuple[tuple[str, str], ...]
    timeout_s: float
    is_gzip: bool = False
    ca_file: str = ""
    client_certificate: str = ""
    client_key: str = ""

    @property
    def shown(self) -> str:
        """The target in a message: without headers, password and query."""
        parts = urlsplit(self.address if "://" in self.address else f"//{self.address}")
        scheme = f"{parts.scheme}://" if parts.scheme else ""
        return scheme + parts.netloc.rpartition("@")[2] + parts.path


def target_of(
    signal: Signal, endpoint: str, protocol: Protocol | None, environ: Mapping[str, str]
) -> Target:
    """Return the target of a signal.

    Raises:
        ConfigError: an endpoint, a protocol or another variable has no meaning.
    """
    chosen = protocol or _variable("PROTOCOL", signal, environ) or GRPC
    if chosen not in (GRPC, HTTP):
        raise ConfigError(f"{_PREFIX}PROTOCOL: {chosen!r} is neither {GRPC} nor {HTTP}")
    known: Protocol = "grpc" if chosen == GRPC else "http/protobuf"
    url = _endpoint(signal, endpoint, known, environ)
    scheme, address = _address(url, known)
    return Target(
        protocol=known,
        address=address,
        is_plain=_is_plain(scheme, signal, environ),
        headers=_headers(_variable("HEADERS", signal, environ)),
        timeout_s=_timeout_s(_variable("TIMEOUT", signal, environ)),
        is_gzip=_variable("COMPRESSION", signal, environ).lower() == "gzip",
        ca_file=_variable("CERTIFICATE", signal, environ),
        client_certificate=_variable("CLIENT_CERTIFICATE", signal, environ),
        client_key=_variable("CLIENT_KEY", signal, environ),
    )


def _variable(name: str, signal: Signal, environ: Mapping[str, str]) -> str:
    own = environ.get(f"{_PREFIX}{signal.upper()}_{name}", "").strip()
    return own or environ.get(f"{_PREFIX}{name}", "").strip()


def _endpoint(signal: Signal, endpoint: str, protocol: Protocol, environ: Mapping[str, str]) -> str:
    if endpoint != DEFAULT_ENDPOINT:
        return endpoint if protocol == GRPC else _with_path(endpoint, signal)
    # A signal's own variable is the complete URL.
    if own := environ.get(f"{_PREFIX}{signal.upper()}_ENDPOINT", "").strip():
        return own
    if general := environ.get(f"{_PREFIX}ENDPOINT", "").strip():
        return general if protocol == GRPC else _with_path(general, signal)
    return endpoint if protocol == GRPC else _with_path(_DEFAULT_HTTP_ENDPOINT, signal)


def _with_path(base: str, signal: Signal) -> str:
    return f"{base.rstrip('/')}/v1/{signal}"


def _address(url: str, protocol: Protocol) -> tuple[str, str]:
    """Return scheme and address: `https://otel.example:4317` → ("https", "otel.example:4317")."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        port = parts.port
    except ValueError:
        raise ConfigError(f"otel.endpoint: {url!r} is no address") from None
    if parts.scheme not in ("", "http", "https") or not parts.hostname:
        raise ConfigError(
            f"otel.endpoint: {url!r} is neither http://HOST:PORT nor https://HOST:PORT"
        )
    if protocol == HTTP:
        return parts.scheme or "http", url if parts.scheme else f"http://{url}"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.scheme, f"{host}:{port or 4317}"


def _is_plain(scheme: str, signal: Signal, environ: Mapping[str, str]) -> bool:
    """Return True for a connection without TLS; the scheme decides, or else the variable."""
    if scheme:
        return scheme == "http"
    return _variable("INSECURE", signal, environ).lower() != "false"


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    """Return the headers of `api-key=abc%20d,x=1`, names in lower case."""
    found: list[tuple[str, str]] = []
    for pair in text.split(","):
        name, mark, value = pair.partition("=")
        if mark and name.strip():
            found.append((unquote(name.strip()).lower(), unquote(value.strip())))
    return tuple(found)


def _timeout_s(text: str) -> float:
    if not text:
        return _DEFAULT_TIMEOUT_S
    try:
        seconds = float(text)
    except ValueError:
        raise ConfigError(f"{_PREFIX}TIMEOUT: {text!r} is no number of seconds") from None
    if not 0 < seconds < 3600:
        raise ConfigError(f"{_PREFIX}TIMEOUT: {text!r} is no usable number of seconds")
    return seconds
