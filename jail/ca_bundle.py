"""One file with the proxy's certificate authority and all that the machine trusts anyway."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from providers.base.errors import ConfigError

FILE_NAME = "ca-bundle.pem"
CA_CERTIFICATE = "mitmproxy-ca-cert.pem"
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, NixOS, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, BSD ports
)
VARIABLES = (
    "SSL_CERT_FILE",  # OpenSSL, Python, Go, Rust (rustls-native-certs, openssl-probe), Deno, Bun
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",
    "NIX_SSL_CERT_FILE",
    "CODEX_CA_CERTIFICATE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "npm_config_cafile",
)
"""Each is read by some client as a file of trusted certificates, in place of or beside its own."""


def write_bundle(directory: Path, cert_dir: Path, environ: Mapping[str, str]) -> Path:
    """Write the bundle into the config directory and return its path.

    Raises:
        ConfigError: there is no certificate authority yet, or the file cannot be written.
    """
    ours = cert_dir / CA_CERTIFICATE
    try:
        parts = [ours.read_bytes()]
    except OSError:
        raise ConfigError(
            f"there is no certificate authority at {ours}; start the proxy with: ccproxy start"
        ) from None
    trusted = [environ.get("SSL_CERT_FILE") or "", environ.get("NODE_EXTRA_CA_CERTS") or ""]
    trusted.append(next((path for path in SYSTEM_BUNDLES if Path(path).is_file()), ""))
    target = directory / FILE_NAME
    for name in dict.fromkeys(trusted):
        # A jail inside a jail would feed the bundle to itself.
        if name and Path(name) != target and Path(name).is_file():
            parts.append(Path(name).read_bytes())
    _put(target, b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts))
    return target


def _put(target: Path, content: bytes) -> None:
    """Write a file that all may read, unless it has this content.

    A jail opens the file, hides folders, and then binds it over others. The kernel refuses to bind
    a file that was replaced meanwhile, by a jail that starts at the same time.
    """
    try:
        if not _has(target, content):
            _write(target, content)
        target.chmod(0o644)
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}") from None


def _has(target: Path, content: bytes) -> bool:
    return target.exists() and target.read_bytes() == content


def _write(target: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o644)
        # Of several that make it at once the first one wins; where there are no links, the last.
        with suppress(OSError):
            os.link(temporary, target)
        if not _has(target, content):
            Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def system_bundles() -> list[str]:
    """Return the machine's own bundles, links resolved.

    Programs read them that take no setting for a bundle of ours.
    """
    found = (Path(path).resolve() for path in SYSTEM_BUNDLES if Path(path).is_file())
    return list(dict.fromkeys(str(path) for path in found))
