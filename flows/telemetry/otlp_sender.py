"""Senders of OTLP requests, by gRPC or by HTTP. Each keeps one connection."""

from __future__ import annotations

import gzip
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from flows.telemetry.otlp_target import GRPC, Signal, Target
from providers.base.errors import ConfigError

if TYPE_CHECKING:
    import grpc

_METHODS: Final = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
_CONTENT_TYPE: Final = "application/x-protobuf"
_RETRIED_STATUSES: Final = frozenset({429, 502, 503, 504})


class SendError(Exception):
    """A collector did not take a request.

    `is_final`: the same request would be refused again.
    """

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(reason)
        self.is_final = is_final


class Sender(Protocol):
    """Connection to a collector. Used by one thread at a time."""

    def send(self, request: bytes, timeout_s: float) -> None:
        """Send one encoded request.

        Raises:
            SendError: the collector did not take it, or not within `timeout_s`.
        """

    def close(self) -> None:
        """Close the connection; a request under way fails."""


def sender_to(target: Target, signal: Signal) -> Sender:
    """Return a sender; nothing is connected yet.

    Raises:
        ImportError: the packages are not installed.
        ConfigError: a file with a certificate cannot be read.
    """
    return GrpcSender(target, signal) if target.protocol == GRPC else HttpSender(target)


class GrpcSender:
    """OTLP over gRPC. The library connects when the first request is sent, and again after that."""

    def __init__(self, target: Target, signal: Signal) -> None:
        import grpc

        options: list[tuple[str, Any]] = []
        if _is_loopback(target.address):
            # gRPC would ask the company's proxy for localhost, too.
            options.append(("grpc.enable_http_proxy", 0))
        compression = grpc.Compression.Gzip if target.is_gzip else grpc.Compression.NoCompression
        if target.is_plain:
            self._channel = grpc.insecure_channel(
                target.address, options=options, compression=compression
            )
        else:
            self._channel = grpc.secure_channel(
                target.address, _credentials(target), options=options, compression=compression
            )
        # Bytes in, bytes out: the requests are encoded already, and no response says more than
        # the status.
        self._call = self._channel.unary_unary(_METHODS[signal])
        self._headers = target.headers
        self._retried = _retried_codes(grpc)

    def send(self, request: bytes, timeout_s: float) -> None:
        """Send one encoded request; see `Sender`."""
        import grpc

        try:
            self._call(request, timeout=timeout_s, metadata=self._headers or None)
        except grpc.RpcError as exc:
            code = exc.code() if isinstance(exc, grpc.Call) else None
            name = code.name if code is not None else type(exc).__name__
            raise SendError(name, is_final=code not in self._retried) from None
        except ValueError as exc:
            # The channel was closed by the thread that stops this one.
            raise SendError(str(exc), is_final=False) from None

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def _retried_codes(grpc: Any) -> frozenset[Any]:
    """Return the status codes after which the specification lets a client try again."""
    codes = grpc.StatusCode
    return frozenset(
        {
            codes.CANCELLED,
            codes.DEADLINE_EXCEEDED,
            codes.RESOURCE_EXHAUSTED,
            codes.ABORTED,
            codes.OUT_OF_RANGE,
            codes.UNAVAILABLE,
            codes.DATA_LOSS,
        }
    )


def _credentials(target: Target) -> grpc.ChannelCredentials:
    import grpc

    return grpc.ssl_channel_credentials(
        root_certificates=_read(target.ca_file),
        private_key=_read(target.client_key),
        certificate_chain=_read(target.client_certificate),
    )


def _read(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as exc:
        raise ConfigError(f"the certificate file {path} cannot be read: {exc.strerror}") from None


class HttpSender:
    """OTLP over HTTP, in protobuf."""

    def __init__(self, target: Target) -> None:
        import httpx

        for path in (target.ca_file, target.client_certificate, target.client_key):
            _read(path)
        self._target = target
        headers = [*target.headers, ("content-type", _CONTENT_TYPE)]
        if target.is_gzip:
            headers.append(("content-encoding", "gzip"))
        self._client = httpx.Client(
            headers=headers, verify=_tls_context(target), follow_redirects=False
        )

    def send(self, request: bytes, timeout_s: float) -> None:
        """Send one encoded request; see `Sender`."""
        import httpx

        body = gzip.compress(request, 1) if self._target.is_gzip else request
        try:
            response = self._client.post(self._target.address, content=body, timeout=timeout_s)
        except (httpx.HTTPError, RuntimeError) as exc:
            raise SendError(type(exc).__name__, is_final=False) from None
        if not response.is_success:
            is_final = response.status_code not in _RETRIED_STATUSES
            raise SendError(f"HTTP {response.status_code}", is_final=is_final)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _tls_context(target: Target) -> Any:
    import ssl

    if target.is_plain:
        return False
    context = ssl.create_default_context(cafile=target.ca_file or None)
    if target.client_certificate:
        context.load_cert_chain(target.client_certificate, target.client_key or None)
    return context


def _is_loopback(address: str) -> bool:
    host = urlsplit(f"//{address}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
