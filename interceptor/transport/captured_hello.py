"""Handshake of a captured client on libcurl, as far as its BoringSSL can say it.

libcurl does not send all that it is configured to: it may leave an extension out, or add one. So
the ClientHello is sent once to a port of this process and read by the product's own parser.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from curl_cffi import Curl, CurlError, CurlHttpVersion, CurlOpt, CurlSslVersion
from curl_cffi.requests.impersonate import TLS_CIPHER_NAME_MAP, TLS_EC_CURVES_MAP

from interceptor.wireguard.client_hello import ClientHello, MalformedHello, parse_client_hello
from shapes.replay.captured_handshake import CapturedHandshake

HEAR_MS: Final = 5000
"""For a ClientHello that crosses nothing but loopback."""

_SIGNATURES: Final = {
    0x0201: "rsa_pkcs1_sha1",
    0x0203: "ecdsa_sha1",
    0x0401: "rsa_pkcs1_sha256",
    0x0403: "ecdsa_secp256r1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
    0x0807: "ed25519",
}
"""Signature algorithms that BoringSSL knows (IANA, TLS SignatureScheme)."""

_SCT, _COMPRESSION, _RECORD_LIMIT, _DELEGATED, _TICKET = 18, 27, 28, 34, 35
_ALPS, _NEW_ALPS, _ECH, _PADDING = 17513, 17613, 65037, 21
_ALWAYS: Final = frozenset({0, 5, 10, 11, 13, 16, 23, 43, 45, 51, 65281})
_SWITCHED: Final = frozenset({_SCT, _COMPRESSION, _RECORD_LIMIT, _DELEGATED, _TICKET, _ALPS})
_EXTENSIONS: Final = _ALWAYS | _SWITCHED | {_NEW_ALPS, _ECH}
"""Extensions that libcurl can send (IANA, TLS ExtensionType); it pads by itself."""
_DELEGATED_ALGORITHMS: Final = "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384"
_RECORD_LIMIT_BYTES: Final = 2**14 + 1
_AT_MOST_TLS_1_2: Final = CurlSslVersion.TLSv1_2 << 16
"""CURL_SSLVERSION_MAX_TLSv1_2 of curl/curl.h."""
_PROTOCOLS: Final = {"h2": CurlHttpVersion.V2_0}


@dataclass(frozen=True, slots=True)
class Likeness:
    """Comparison of what libcurl sends with what was captured."""

    ja3: bool
    ja4: bool
    left_out: tuple[str, ...]
    """What libcurl cannot send, such as "extension 22" or "cipher 00a3"."""
    added: tuple[int, ...] = ()
    """Extensions that it sends besides. BoringSSL pads where the last one would be empty."""

    def sentence(self) -> str:
        """Return it for people: "JA4 equal, JA3 differs; libcurl cannot send extension 22"."""
        equal = [name for name, same in (("JA3", self.ja3), ("JA4", self.ja4)) if same]
        other = [name for name, same in (("JA3", self.ja3), ("JA4", self.ja4)) if not same]
        parts = []
        if equal:
            parts.append(f"{' and '.join(equal)} equal")
        if other:
            parts.append(f"{' and '.join(other)} {'differ' if len(other) > 1 else 'differs'}")
        sentences = [", ".join(parts)]
        if self.left_out:
            sentences.append(f"libcurl cannot send {_listed(self.left_out)}")
        if self.added:
            sentences.append(f"libcurl adds extension {', '.join(map(str, self.added))}")
        return "; ".join(sentences)


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:6])
    return f"{shown} and {len(names) - 6} more" if len(names) > 6 else shown


def set_hello(curl: Curl, handshake: CapturedHandshake) -> tuple[str, ...]:
    """Make a handle send a captured handshake; return what it cannot send."""
    ciphers, unknown = _known(handshake.ciphers, TLS_CIPHER_NAME_MAP.get, "cipher {:04x}")
    groups, more = _known(handshake.groups, TLS_EC_CURVES_MAP.get, "group {}")
    signatures, yet_more = _known(
        handshake.signature_algorithms, _SIGNATURES.get, "signature algorithm {:04x}"
    )
    asked = [number for number in handshake.extensions if number != _PADDING]
    sent = [number for number in asked if number in _EXTENSIONS]
    dropped = [f"extension {number}" for number in asked if number not in _EXTENSIONS]
    newest = CurlSslVersion.MAX_DEFAULT if handshake.has_tls_1_3 else _AT_MOST_TLS_1_2
    curl.setopt(CurlOpt.SSLVERSION, CurlSslVersion.TLSv1_2 | newest)
    curl.setopt(CurlOpt.SSL_CIPHER_LIST, ":".join(ciphers))
    curl.setopt(CurlOpt.SSL_EC_CURVES, ":".join(groups))
    if signatures:
        curl.setopt(CurlOpt.SSL_SIG_HASH_ALGS, ",".join(signatures))
    _set_extensions(curl, sent)
    curl.setopt(CurlOpt.SSL_ENABLE_ALPN, int(handshake.protocol != "00"))
    version = _PROTOCOLS.get(handshake.protocol, CurlHttpVersion.V1_1)
    curl.setopt(CurlOpt.HTTP_VERSION, version)
    return (*dropped, *unknown, *more, *yet_more)


def _known(
    numbers: tuple[int, ...], name_of: Callable[[int], str | None], unknown: str
) -> tuple[list[str], list[str]]:
    """Return the names of the numbers that libcurl knows, and descriptions of the others."""
    names = [name for number in numbers if (name := name_of(number))]
    others = [unknown.format(number) for number in numbers if not name_of(number)]
    return names, others


def _set_extensions(curl: Curl, numbers: list[int]) -> None:
    """Switch on what the order names: an extension that is off would be left out of it."""
    curl.setopt(CurlOpt.TLS_EXTENSION_ORDER, "-".join(map(str, numbers)))
    curl.setopt(CurlOpt.SSL_PERMUTE_EXTENSIONS, 0)
    # Captures leave GREASE out, as JA3 and JA4 do.
    curl.setopt(CurlOpt.TLS_GREASE, 0)
    curl.setopt(CurlOpt.TLS_STATUS_REQUEST, 1)
    curl.setopt(CurlOpt.TLS_SIGNED_CERT_TIMESTAMPS, int(_SCT in numbers))
    curl.setopt(CurlOpt.SSL_ENABLE_TICKET, int(_TICKET in numbers))
    curl.setopt(CurlOpt.SSL_CERT_COMPRESSION, "brotli" if _COMPRESSION in numbers else "")
    curl.setopt(CurlOpt.SSL_ENABLE_ALPS, int(_ALPS in numbers or _NEW_ALPS in numbers))
    if _NEW_ALPS in numbers:
        curl.setopt(CurlOpt.TLS_USE_NEW_ALPS_CODEPOINT, 1)
    if _RECORD_LIMIT in numbers:
        curl.setopt(CurlOpt.TLS_RECORD_SIZE_LIMIT, _RECORD_LIMIT_BYTES)
    if _DELEGATED in numbers:
        curl.setopt(CurlOpt.TLS_DELEGATED_CREDENTIALS, _DELEGATED_ALGORITHMS)
    if _ECH in numbers:
        curl.setopt(CurlOpt.ECH, "grease")


async def likeness(handshake: CapturedHandshake) -> Likeness:
    """Return how near libcurl comes to a captured handshake, measured on loopback.

    Raises:
        CurlError: libcurl does not take it.
    """
    heard: asyncio.Future[ClientHello] = asyncio.get_running_loop().create_future()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readexactly(5)
            rest = await reader.readexactly(int.from_bytes(head[3:]))
            if not heard.done():
                heard.set_result(parse_client_hello(head + rest))
        except (asyncio.IncompleteReadError, MalformedHello) as exc:
            if not heard.done():
                heard.set_exception(CurlError(f"sent no ClientHello: {exc}"))
        finally:
            writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        left_out, failure = await asyncio.to_thread(_say_hello, handshake, port)
    if not heard.done():
        raise failure
    hello = heard.result()
    added = tuple(n for n in hello.extensions if n not in handshake.extensions)
    return Likeness(hello.ja3 == handshake.ja3, hello.ja4 == handshake.ja4, left_out, added)


def _say_hello(handshake: CapturedHandshake, port: int) -> tuple[tuple[str, ...], CurlError]:
    """Begin a handshake with a port of this machine, which reads its start and hangs up.

    Returns what libcurl cannot send, and the failure in which every attempt ends.
    """
    curl = Curl()
    left_out: tuple[str, ...] = ()
    try:
        left_out = set_hello(curl, handshake)
        curl.setopt(CurlOpt.URL, f"https://localhost:{port}/")
        curl.setopt(CurlOpt.RESOLVE, [f"localhost:{port}:127.0.0.1"])
        curl.setopt(CurlOpt.PROXY, "")
        curl.setopt(CurlOpt.NOSIGNAL, 1)
        curl.setopt(CurlOpt.TIMEOUT_MS, HEAR_MS)
        curl.perform()
    except CurlError as exc:
        return left_out, exc
    finally:
        curl.close()
    return left_out, CurlError("ended without a handshake")
