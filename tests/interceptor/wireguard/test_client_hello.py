"""JA3 and JA4 against published values, against tshark, and against bytes that nobody made on
purpose.
"""

from __future__ import annotations

import shutil
import ssl
import struct
import subprocess
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.wireguard.client_hello import (
    ClientHello,
    MalformedHello,
    is_grease,
    parse_client_hello,
)
from tests.environment import need

CIPHERS = "1301 1302 1303 c02b c02f c02c c030 cca9 cca8 c013 c014 009c 009d 002f 0035"
EXTENSIONS = "001b 0000 0033 0010 4469 0017 002d 000d 0005 0023 0012 002b ff01 000b 000a 0015"
SIGNATURES = "0403 0804 0401 0503 0805 0501 0806 0601"


def numbers(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def block(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width) + content


def words(values: list[int]) -> bytes:
    return b"".join(struct.pack(">H", value) for value in values)


def hello(
    *,
    ciphers: list[int],
    extensions: list[int],
    signatures: list[int] = [],  # noqa: B006
    alpn: bytes | None = b"h2",
    versions: list[int] = [],  # noqa: B006
    groups: list[int] = [29, 23, 24],  # noqa: B006
    legacy: int = 0x0303,
) -> bytes:
    """The body of a ClientHello with these extensions in this order; those that have no content
    here are empty.
    """
    contents = {
        0: block(2, b"\0" + block(2, b"a.test")),
        10: block(2, words(groups)),
        11: block(1, b"\0"),
        13: block(2, words(signatures)),
        16: block(2, block(1, alpn or b"")),
        43: block(1, words(versions)),
    }
    packed = b"".join(
        struct.pack(">H", kind) + block(2, contents.get(kind, b"")) for kind in extensions
    )
    head = struct.pack(">H", legacy) + bytes(32) + block(1, b"")
    return head + block(2, words(ciphers)) + block(1, b"\0") + block(2, packed)


CHROME: dict[str, Any] = {
    "ciphers": numbers(CIPHERS),
    "extensions": numbers(EXTENSIONS),
    "signatures": numbers(SIGNATURES),
}


def test_the_published_example_of_ja4() -> None:
    """FoxIO's example of a Chrome: fingerprint and raw form, with GREASE strewn in."""
    found = parse_client_hello(
        hello(
            ciphers=[0x1A1A, *CHROME["ciphers"]],
            extensions=[0x3A3A, *CHROME["extensions"], 0xEAEA],
            signatures=CHROME["signatures"],
            versions=[0x7A7A, 0x0304, 0x0303],
        )
    )
    assert found.ja4 == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert (
        found.ja4_r
        == "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_"
        "0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_"
        "0403,0804,0401,0503,0805,0501,0806,0601"
    )
    assert found.sni == "a.test" and found.alpn == (b"h2",)


def test_the_published_example_of_ja3() -> None:
    """The second example of the JA3 page: no extensions at all."""
    found = parse_client_hello(
        hello(ciphers=[4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99], extensions=[], legacy=769)
    )
    assert found.ja3_full == "769,4-5-10-9-100-98-3-6-19-18-99,,,"
    assert found.ja3 == "de350869b8c85de67a350c8d186f11e6"
    assert found.ja4.endswith("_000000000000") and found.ja4.startswith("t10i110000_")


@pytest.mark.parametrize(
    ("alpn", "shown"),
    [
        (b"h2", "h2"), (b"http/1.1", "h1"), (b"h", "hh"), (None, "00"), (b"\xab", "ab"), (b"\x20",
        "20"),
        (b"\xab\xcd", "ad"), (b"\x20\x61", "21"), (b"\x30\xab", "3b"), (b"\x61\x20", "60"),
        (b"\x30\x31\xab\xcd", "3d"), (b"\x30\xab\xcd\x31", "01"),
    ],
)  # fmt: skip
def test_the_published_examples_of_the_protocol(alpn: bytes | None, shown: str) -> None:
    assert parse_client_hello(hello(ciphers=[1], extensions=[16], alpn=alpn)).ja4[8:10] == shown


@pytest.mark.parametrize(
    ("versions", "legacy", "shown"),
    [
        ([0x0304, 0x0303], 0x0303, "13"),
        ([], 0x0303, "12"),
        ([], 0x0302, "11"),
        ([], 0x0300, "s3"),
        ([0x9999], 3, "00"),
    ],
)
def test_the_version(versions: list[int], legacy: int, shown: str) -> None:
    extensions = [43] if versions else []
    assert (
        parse_client_hello(
            hello(ciphers=[1], extensions=extensions, versions=versions, legacy=legacy)
        ).ja4[1:3]
        == shown
    )


def test_counts_stop_at_99() -> None:
    found = parse_client_hello(hello(ciphers=list(range(1, 200)), extensions=list(range(100, 250))))
    assert found.ja4.startswith("t12i999900_")


def test_a_record_a_message_and_a_body_are_the_same() -> None:
    body = hello(**CHROME)
    message = b"\x01" + block(3, body)
    record = b"\x16\x03\x01" + block(2, message)
    assert parse_client_hello(body) == parse_client_hello(message) == parse_client_hello(record)


def test_what_openssl_sends_reads_the_same_by_tshark(tmp_path: Path) -> None:
    """tshark has a JA3 of its own."""
    need("tshark", shutil.which("tshark") is not None)
    hellos = [
        openssl_hello(None),
        openssl_hello(["h2", "http/1.1"]),
        openssl_hello(["http/1.1"], name=None),
    ]
    capture = tmp_path / "hellos.pcap"
    capture.write_bytes(pcap(hellos))
    fields = ["-e", "tls.handshake.ja3_full", "-e", "tls.handshake.ja3"]
    command = ["tshark", "-r", str(capture), "-d", "tcp.port==443,tls", "-T", "fields", *fields]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    seen = [tuple(line.split("\t")) for line in lines if line]
    assert seen == [(one.ja3_full, one.ja3) for one in map(parse_client_hello, hellos)]
    assert len(seen) == 3


def openssl_hello(alpn: list[str] | None, name: str | None = "a.test") -> bytes:
    """The first flight of this Python's TLS library."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    if alpn:
        context.set_alpn_protocols(alpn)
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(into, out, server_hostname=name).do_handshake()
    return out.read()


def pcap(payloads: list[bytes]) -> bytes:
    """A capture of raw IPv4 packets, each the beginning of a TCP connection of its own."""
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for number, payload in enumerate(payloads):
        tcp = (
            struct.pack(">HHIIBBHHH", 40000 + number, 443, 1, 1, 0x50, 0x18, 65535, 0, 0) + payload
        )
        ip = (
            struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, bytes(4), bytes(4))
            + tcp
        )
        data += struct.pack("<IIII", number, 0, len(ip), len(ip)) + ip
    return data


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for candidate in (data, b"\x03\x03" + bytes(32) + data, b"\x16\x03\x01" + data, b"\x01" + data):
        try:
            found = parse_client_hello(candidate)
        except MalformedHello:
            continue
        assert len(found.ja4) <= 36 and len(found.ja3) == 32


def test_a_hello_that_was_cut_is_refused() -> None:
    """Wherever it is cut, but for one place: before its extensions, which are optional."""
    body = hello(**CHROME)
    whole = []
    for end in range(len(body)):
        try:
            whole.append(parse_client_hello(body[:end]))
        except MalformedHello:
            continue
    assert [one.extensions for one in whole] == [()]


def test_an_endless_hello_is_refused() -> None:
    with pytest.raises(MalformedHello):
        parse_client_hello(bytes(64 * 1024 + 1))


LISTS = st.lists(st.integers(0, 0xFFFF), max_size=60)


@given(LISTS, LISTS)
def test_lists_come_back_without_grease(ciphers: list[int], groups: list[int]) -> None:
    found = parse_client_hello(hello(ciphers=ciphers, extensions=[10, 0x0A0A], groups=groups))
    assert found.cipher_suites == tuple(value for value in ciphers if not is_grease(value))
    assert found.groups == tuple(value for value in groups if not is_grease(value))
    assert found.extensions == (10,)


@given(st.permutations(CHROME["ciphers"]), st.permutations(CHROME["extensions"]))
def test_ja4_does_not_depend_on_order_and_ja3_does(
    ciphers: list[int], extensions: list[int]
) -> None:
    usual = ClientHello(0x0303, tuple(CHROME["ciphers"]), tuple(CHROME["extensions"]))
    found = ClientHello(0x0303, tuple(ciphers), tuple(extensions))
    assert found.ja4 == usual.ja4
    same = (ciphers, extensions) == (CHROME["ciphers"], CHROME["extensions"])
    assert (found.ja3 == usual.ja3) == same
    assert found.ja3 == md5(found.ja3_full.encode(), usedforsecurity=False).hexdigest()


def test_the_sixteen_greases() -> None:
    assert [value for value in range(0x10000) if is_grease(value)] == [
        0x0A0A + 0x1010 * n for n in range(16)
    ]
