"""Check of the certificate authority (CA) in front of TLS clients, before anything listens.

mitmproxy makes a CA where there is none. It only logs what is wrong with one that is there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from mitmproxy.certs import CertStore
from mitmproxy.options import CONF_BASENAME

from providers.base.errors import ConfigError
from providers.base.file_lock import FileLock

CA_FILE: Final = "mitmproxy-ca.pem"
"""Key and certificate, one after the other."""
LOCK_FILE: Final = "authority.lock"
KEY_BITS: Final = 2048
"""What mitmproxy itself makes."""


def make_authority(folder: Path) -> None:
    """Make a CA where there is none; blocks.

    One process at a time: workers that start together would read each other's half-written files.
    A folder that cannot be used is left to `check_authority`.
    """
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(folder / LOCK_FILE):
            if not (folder / CA_FILE).exists():
                CertStore.create_store(folder, CONF_BASENAME, KEY_BITS)


def check_authority(folder: Path) -> None:
    """Reject a folder in which no CA can be made, and a CA that can sign nothing.

    Raises:
        ConfigError: one sentence, with the way out.
    """
    path = folder / CA_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = path.read_bytes()
    except FileNotFoundError:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigError(
                f"cannot make a CA in {folder}: Permission denied; change cert_dir or the folder's"
                " owner"
            ) from None
        return
    except OSError as exc:
        raise ConfigError(f"cannot use the CA in {folder}: {exc.strerror}") from None
    if problem := _problem(content):
        raise ConfigError(
            f"the CA {path} {problem}: restore it from a backup, or remove {folder}/mitmproxy-* to"
            " have a new one made, which clients must trust anew"
        )


def load_checked_key(content: bytes, password: bytes | None) -> PrivateKeyTypes:
    """Load a private key without testing its primes: `check_authority` has it sign instead.

    Replaces mitmproxy's function, and like that ignores a password that the key does
    not need.

    Raises:
        TypeError: the key needs a password.
        ValueError: the content is no key, or the password is wrong.
    """
    try:
        return load_pem_private_key(content, password, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        if password is None:
            raise
        return load_checked_key(content, None)


def _problem(content: bytes) -> str:
    """Return why a key and its certificate cannot sign; empty when they can."""
    try:
        certificate = x509.load_pem_x509_certificate(content)
        # Testing the primes takes 30 ms; a signature shows as much.
        key = load_pem_private_key(content, password=None, unsafe_skip_rsa_key_validation=True)
        # Parsed only now: each may be damaged by itself.
        certified, end = certificate.public_key(), certificate.not_valid_after_utc
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "is damaged"
    if key.public_key() != certified:
        return "has a key that belongs to another certificate"
    if isinstance(key, RSAPrivateKey) and not _signs(key):
        return "is damaged"
    if end < datetime.now(UTC):
        return f"expired on {end:%Y-%m-%d}"
    return ""


def _signs(key: RSAPrivateKey) -> bool:
    data, padding, digest = b"ccproxy", PKCS1v15(), SHA256()
    try:
        key.public_key().verify(key.sign(data, padding, digest), data, padding, digest)
    except (InvalidSignature, ValueError):
        return False
    return True
