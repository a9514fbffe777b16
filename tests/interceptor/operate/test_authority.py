"""A CA that cannot sign is refused in one sentence before anything listens."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from interceptor.operate.authority import (
    CA_FILE,
    check_authority,
    load_checked_key,
    make_authority,
)
from providers.base.errors import ConfigError

UNPATCHED_LOAD = serialization.load_pem_private_key
"""What mitmproxy calls, unless an earlier test has left the patch in place."""


def authority(*, days: int = 10, other_key: bool = False) -> bytes:
    """A key and its certificate, valid from twenty days ago until in `days`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=20))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    written = ec.generate_private_key(ec.SECP256R1()) if other_key else key
    pem = serialization.Encoding.PEM
    return written.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(pem)


WHOLE = authority()


def test_a_whole_one_and_a_missing_one_pass(tmp_path: Path) -> None:
    check_authority(tmp_path / "new")
    (tmp_path / CA_FILE).write_bytes(WHOLE)
    check_authority(tmp_path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: b"", "is damaged"),
        (lambda: WHOLE[:300], "is damaged"),
        (lambda: WHOLE[WHOLE.index(b"-----BEGIN CERT") :], "is damaged"),
        (lambda: authority(other_key=True), "belongs to another certificate"),
        (lambda: authority(days=-1), "expired on"),
    ],
)
def test_one_that_cannot_sign(make: Callable[[], bytes], says: str, tmp_path: Path) -> None:
    (tmp_path / CA_FILE).write_bytes(make())
    with pytest.raises(ConfigError, match=says) as caught:
        check_authority(tmp_path)
    assert "restore it from a backup" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_in_the_place_of_its_folder(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    with pytest.raises(ConfigError, match="cannot use the CA in") as caught:
        check_authority(taken)
    assert str(taken) in str(caught.value)


@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=3))
def test_any_damage_is_told_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, place: int, piece: bytes
) -> None:
    folder = tmp_path_factory.mktemp("ca")
    (folder / CA_FILE).write_bytes(WHOLE[:place] + piece + WHOLE[place + 1 :])
    try:
        check_authority(folder)
    except ConfigError as exc:
        assert str(folder) in str(exc)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"Not a directory|File exists"):
        check_authority(tmp_path / "file" / "ca")
    (tmp_path / "ca" / CA_FILE).mkdir(parents=True)
    with pytest.raises(ConfigError, match="Is a directory"):
        check_authority(tmp_path / "ca")


def test_workers_that_start_together_make_one(tmp_path: Path) -> None:
    folder = tmp_path / "ca"

    def made(_: int) -> bytes:
        make_authority(folder)
        check_authority(folder)
        return (folder / CA_FILE).read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(made, range(8)))) == 1


def test_mitmproxy_gets_the_key_as_from_its_own_function() -> None:
    key = serialization.load_pem_private_key(WHOLE, None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"word"),
    )
    for content, password in ((WHOLE, None), (WHOLE, b"unneeded"), (locked, b"word")):
        assert load_checked_key(content, password).public_key() == key.public_key()
    for content, password in ((locked, None), (locked, b"wrong"), (b"", None)):
        failures = []
        for load in (load_checked_key, UNPATCHED_LOAD):
            with pytest.raises((TypeError, ValueError)) as caught:
                load(content, password)
            failures.append(caught.type)
        assert failures[0] is failures[1]


def test_the_numbers_of_a_key_are_not_tested_again() -> None:
    key = rsa.generate_private_key(65537, 2048)
    numbers = key.private_numbers()
    odd = rsa.RSAPrivateNumbers(
        numbers.p,
        numbers.q,
        numbers.d,
        numbers.dmp1,
        numbers.dmq1 + 2,
        numbers.iqmp,
        numbers.public_numbers,
    ).private_key(unsafe_skip_rsa_key_validation=True)
    content = odd.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(ValueError, match="key"):
        UNPATCHED_LOAD(content, None)
    assert load_checked_key(content, None).public_key() == key.public_key()
