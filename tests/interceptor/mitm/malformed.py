"""Malformed and hostile requests as raw bytes, and what may come of each. A table, no tests."""

from __future__ import annotations

from dataclasses import dataclass

KEY = b"x-api-key: sk-ccproxy-up\r\n"
HOST = b"Host: 127.0.0.1\r\n"
EVIL = b"GET /evil HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: sk-ccproxy-up\r\n\r\n"
"""A request that hides in another one; its path must never arrive."""

LIMIT = 1_000_000
"""The proxy under test refuses larger bodies."""


@dataclass(frozen=True)
class Case:
    """`statuses`: what may be answered; 0 stands for a connection that is closed without an
    answer.
    """

    name: str
    data: bytes
    statuses: tuple[int, ...]
    half_close: bool = False
    """Stop sending after the data."""


def post(
    headers: bytes = b"",
    body: bytes = b"",
    line: bytes = b"POST /v1/messages HTTP/1.1",
    host: bytes = HOST,
) -> bytes:
    """A request whose headers are given as they are."""
    return line + b"\r\n" + host + KEY + headers + b"\r\n" + body


def get(
    target: bytes = b"/v1/x", headers: bytes = b"", host: bytes = HOST, line: bytes = b""
) -> bytes:
    return (line or b"GET " + target + b" HTTP/1.1") + b"\r\n" + host + KEY + headers + b"\r\n"


def _length(value: bytes) -> bytes:
    return b"Content-Length: " + value + b"\r\n"


CHUNKED = b"Transfer-Encoding: chunked\r\n"


def _lines() -> list[Case]:
    """The request line."""
    bad = {
        "empty-method": b" /v1/x HTTP/1.1",
        "no-version": b"GET /v1/x",
        "no-target": b"GET HTTP/1.1",
        "two-spaces": b"GET  /v1/x HTTP/1.1",
        "tab-between": b"GET\t/v1/x\tHTTP/1.1",
        "trailing-space": b"GET /v1/x HTTP/1.1 ",
        "space-in-target": b"GET /v1/x y HTTP/1.1",
        "nul-in-target": b"GET /v1/\x00x HTTP/1.1",
        "bell-in-target": b"GET /v1/\x07x HTTP/1.1",
        "del-in-target": b"GET /v1/\x7fx HTTP/1.1",
        "bare-cr-in-target": b"GET /v1/\rx HTTP/1.1",
        "method-with-colon": b"GE:T /v1/x HTTP/1.1",
        "method-with-nul": b"G\x00T /v1/x HTTP/1.1",
        "method-8-kb": b"A" * 8192 + b" /v1/x HTTP/1.1",
        "relative-target": b"GET v1/x HTTP/1.1",
        "star-target": b"GET * HTTP/1.1",
        "options-star": b"OPTIONS * HTTP/1.1",
        "query-alone": b"GET ?x=1 HTTP/1.1",
        "lower-case-protocol": b"GET /v1/x http/1.1",
        "other-protocol": b"GET /v1/x HTCPCP/1.0",
        "shell": b"${jndi:ldap://x}",
        "version-without-number": b"GET /v1/x HTTP/",
        "version-long": b"GET /v1/x HTTP/1.10",
    }
    versions = {"0.9": 505, "1.2": 505, "2.0": 505, "3.0": 505, "9.9": 505}
    return [
        *(Case(f"line/{name}", get(line=line), (400,)) for name, line in bad.items()),
        *(Case(f"line/http-{v}", get(line=b"GET /v1/x HTTP/" + v.encode()), (s,)) for v,
        s in versions.items()),
        Case("line/lf-only", b"GET /v1/x HTTP/1.1\nHost: 127.0.0.1\n\n", (400,)),
        Case("line/binary", bytes(range(128, 256)), (400,)),
        Case("line/nuls", b"\x00" * 1000, (400,)),
        Case("line/ssh", b"SSH-2.0-OpenSSH_9.6\r\n", (400,)),
        Case("line/smtp", b"EHLO example.com\r\n", (400,)),
        Case("line/redis", b"*1\r\n$4\r\nPING\r\n", (400,)),
        Case("line/tls-alert", b"\x15\x03\x01\x00\x02\x02\x46", (400, 0)),
        Case("line/tls-garbage", b"\x16\x03\x01\x00\x05hello-world-garbage", (400, 0)),
        Case("line/target-65-kb", get(b"/" + b"a" * 65 * 1024), (414,)),
        Case("line/target-1-mb", get(b"/" + b"a" * 1024 * 1024), (414,)),
        Case("line/target-endless", b"GET /" + b"a" * 200_000, (414,)),
        Case("line/blank-lines-first", b"\r\n\r\n" + get(b"/health"), (200,)),
        Case("line/only-blank-lines", b"\r\n" * 2000, (0,)),
    ]  # fmt: skip


def _targets() -> list[Case]:
    """Targets that ask for a forward proxy."""
    absolute = [
        b"http://evil.test/v1/messages", b"https://evil.test/", b"HTTP://127.0.0.1:1/x",
        b"ftp://evil.test/x",
        b"file:///etc/passwd", b"http://user:pw@evil.test/", b"http:///x", b"//evil.test:80",
    ]  # fmt: skip
    cases = [Case(f"target/{t.decode()}", get(t), (400,)) for t in absolute[:-1]]
    return [
        *cases,
        Case(
            "target/absolute-post",
            post(_length(b"2"), b"{}", b"POST http://evil.test/v1/messages HTTP/1.1"),
            (400,),
        ),
        Case("target/connect", get(line=b"CONNECT evil.test:443 HTTP/1.1"), (405,)),
        Case("target/connect-loopback", get(line=b"CONNECT 127.0.0.1:22 HTTP/1.1"), (405,)),
        Case("target/connect-path", get(line=b"CONNECT /x HTTP/1.1"), (405,)),
        Case("target/connect-no-port", get(line=b"CONNECT evil.test HTTP/1.1"), (405,)),
    ]


def _headers() -> list[Case]:
    """Header lines."""
    controls = [n for n in range(32) if n not in (9, 10, 13)] + [127]
    bad = {
        "nul-in-value": b"X-A: a\x00b\r\n",
        "bare-cr-in-value": b"X-A: a\rEvil: 1\r\n",
        "bare-lf-in-value": b"X-A: a\nEvil: 1\r\n",
        "cr-cr-lf": b"X-A: a\r\r\n",
        "no-colon": b"JustAName\r\n",
        "no-name": b": value\r\n",
        "space-before-colon": b"X-A : b\r\n",
        "space-in-name": b"X A: b\r\n",
        "tab-in-name": b"X\tA: b\r\n",
        "leading-space": b" X-A: b\r\n",
        "obs-fold": b"X-A: a\r\n folded\r\n",
        "obs-fold-tab": b"X-A: a\r\n\tfolded\r\n",
        "nul-in-name": b"X\x00A: b\r\n",
        "utf8-in-name": "X-Ä: b\r\n".encode(),
        "parenthesis-in-name": b"X(A): b\r\n",
        "control-in-api-key": b"x-goog-api-key: a\x01b\r\n",
    }
    return [
        *(Case(f"header/{name}", get(headers=line), (400,)) for name, line in bad.items()),
        *(
            Case(f"header/control-{n:02x}", get(headers=b"X-A: a" + bytes([n]) + b"b\r\n"), (400,))
            for n in controls
        ),
        Case("header/one-of-1-mb", get(headers=b"X-A: " + b"a" * 1024 * 1024 + b"\r\n"), (431,)),
        Case(
            "header/10000-headers",
            get(headers=b"".join(b"X-%d: 1\r\n" % n for n in range(10_000))),
            (431,),
        ),
        Case("header/1001-times-one", get(headers=b"X-A: 1\r\n" * 1001), (431,)),
        Case("header/endless", get(headers=b"X-A: 1\r\n" * 100_000)[:-2], (431,)),
        Case("header/endless-one", get(headers=b"X-A: " + b"a" * 500_000)[:-2], (431,)),
        Case(
            "header/unknown-expect", post(b"Expect: 200-maybe\r\n" + _length(b"2"), b"{}"), (417,)
        ),
        Case("header/tab-in-value", get(b"/health", b"X-A: a\tb\r\n"), (200,)),
        Case("header/utf8-in-value", get(b"/health", "X-A: ä\r\n".encode()), (200,)),
        Case("header/empty-value", get(b"/health", b"X-A:\r\n"), (200,)),
    ]


def _hosts() -> list[Case]:
    """Names by which nobody may call."""
    bad = {
        "evil.test": 421, "evil.test:4000": 421, "127.0.0.1.evil.test": 421,
        "localhost.evil.test": 421,
        "10.0.0.1": 421, "192.168.1.1:80": 421, "0.0.0.0": 421, "169.254.169.254": 421,
        "2130706433": 421,
        "0x7f000001": 421, "[::ffff:10.0.0.1]": 421, "[fe80::1]": 421, "evil.test#127.0.0.1": 400,
        "user@127.0.0.1": 400, "127.0.0.1/x": 400, "127.0.0.1, evil.test": 400,
        "127.0.0.1:port": 400,
        "127.0.0.1:123456": 400, "127.0.0.1 evil": 400, "": 400, "[::1": 400, "ev\u0131l.test": 400,
    }  # fmt: skip
    good = [
        "127.0.0.1",
        "127.0.0.1:9",
        "localhost",
        "LOCALHOST:4000",
        "localhost.",
        "[::1]:4000",
        "127.8.8.8",
        "a.localhost",
    ]
    host = b"Host: "
    return [
        *(Case(f"host/{n}", get(host=host + n.encode() + b"\r\n"), (s,)) for n, s in bad.items()),
        *(
            Case(f"host/{n}", get(b"/health", host=host + n.encode() + b"\r\n"), (200,))
            for n in good
        ),
        Case("host/none", get(host=b""), (400,)),
        Case("host/none-http-1.0", get(host=b"", line=b"GET /v1/x HTTP/1.0"), (400,)),
        Case("host/two", get(host=HOST + HOST), (400,)),
        Case("host/two-different", get(host=HOST + b"Host: evil.test\r\n"), (400,)),
        Case("host/nul", get(host=b"Host: 127.0.0.1\x00.evil.test\r\n"), (400,)),
        Case("host/forwarded-host", get(b"/health", b"X-Forwarded-Host: evil.test\r\n"), (200,)),
    ]


def _origins() -> list[Case]:
    """What only a browser sends."""
    refused = {
        "foreign": b"Origin: https://evil.test\r\n",
        "null": b"Origin: null\r\n",
        "localhost-page": b"Origin: http://localhost:3000\r\n",
        "own-address": b"Origin: http://127.0.0.1\r\n",
        "extension": b"Origin: chrome-extension://abcdef\r\n",
        "empty": b"Origin:\r\n",
        "cross-site": b"Sec-Fetch-Site: cross-site\r\n",
        "same-site": b"Sec-Fetch-Site: same-site\r\n",
        "cross-site-link": (
            b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest:"
            b" document\r\n"
        ),
        "unknown-site": b"Sec-Fetch-Site: whatever\r\n",
    }
    preflight = b"Origin: https://evil.test\r\nAccess-Control-Request-Method: POST\r\n"
    upgrade = (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version:"
        b" 13\r\nSec-WebSocket-Key: eHh4\r\n"
    )
    return [
        *(Case(f"origin/{name}", get(headers=lines), (403,)) for name, lines in refused.items()),
        Case(
            "origin/two",
            get(headers=b"Origin: https://a.test\r\nOrigin: https://b.test\r\n"),
            (400, 403),
        ),
        Case(
            "origin/preflight",
            get(line=b"OPTIONS /v1/messages HTTP/1.1", headers=preflight),
            (403,),
        ),
        Case(
            "origin/preflight-alone",
            get(headers=b"Access-Control-Request-Method: POST\r\n"),
            (403,),
        ),
        Case(
            "origin/websocket",
            get(b"/v1/responses", upgrade + b"Origin: https://evil.test\r\n"),
            (403,),
        ),
        Case("origin/form", post(b"Origin: null\r\n" + _length(b"3"), b"a=b"), (403,)),
        Case(
            "origin/form-without-body-read",
            post(b"Origin: null\r\n" + _length(b"900000"), b"a=b"),
            (403,),
        ),
        Case("origin/none", get(b"/health", b"Sec-Fetch-Site: none\r\n"), (200,)),
        Case("origin/node-fetch", get(b"/health", b"Sec-Fetch-Mode: cors\r\n"), (200,)),
    ]


def _framing() -> list[Case]:
    """Lengths and chunks; whatever follows the body must not become a request."""
    lengths = {
        "two": _length(b"5") + _length(b"5"), "two-different": _length(b"5") + _length(b"6"),
        "list": _length(b"5, 5"), "negative": _length(b"-1"), "plus": _length(b"+5"),
        "hex": _length(b"0x5"),
        "empty": _length(b""), "words": _length(b"five"), "decimal": _length(b"5.0"),
        "40-digits": _length(b"9" * 40),
        "400-digits": _length(b"1" * 400), "space-inside": _length(b"1 0"),
        "superscript": _length("²".encode()),
        "underscore": _length(b"1_0"), "leading-zero": _length(b"05"),
    }  # fmt: skip
    codings = {
        "with-length": CHUNKED + _length(b"5"), "length-first": _length(b"5") + CHUNKED,
        "two": CHUNKED + CHUNKED,
        "identity": b"Transfer-Encoding: identity\r\n", "gzip": b"Transfer-Encoding: gzip\r\n",
        "gzip-chunked": b"Transfer-Encoding: gzip, chunked\r\n",
        "twice": b"Transfer-Encoding: chunked, chunked\r\n",
        "xchunked": b"Transfer-Encoding: xchunked\r\n",
        "quoted": b'Transfer-Encoding: "chunked"\r\n',
        "vertical-tab": b"Transfer-Encoding:\x0bchunked\r\n",
        "parameter": b"Transfer-Encoding: chunked;q=1\r\n",
        "empty": b"Transfer-Encoding:\r\n",
    }  # fmt: skip
    chunks = {
        "no-hex": b"zz\r\n", "negative": b"-5\r\nhello\r\n", "plus": b"+5\r\nhello\r\n",
        "0x": b"0x5\r\nhello\r\n",
        "17-f": b"f" * 17 + b"\r\n", "16-f": b"f" * 16 + b"\r\n", "8-f": b"f" * 8 + b"\r\n",
        "40-f": b"f" * 40,
        "lf-only": b"5\nhello\n0\n\n", "no-end": b"5\r\nhelloX\r\n0\r\n\r\n",
        "size-line-endless": b"5" + b";x" * 5000,
        "extension-1-mb": b"5;" + b"x" * 1024 * 1024 + b"\r\nhello\r\n0\r\n\r\n",
        "empty-size": b"\r\nhello\r\n",
        "space-first": b" 5\r\nhello\r\n0\r\n\r\n", "cr-in-size": b"5\rx\r\nhello\r\n",
        "comma": b"5,5\r\nhello\r\n",
        "trailers-endless": b"0\r\n" + b"X-A: 1\r\n" * 20_000,
        "trailer-malformed": b"0\r\nno colon here\r\n\r\n",
    }  # fmt: skip
    return [
        *(
            Case(f"length/{name}", post(line, b"hello" + EVIL), (400,))
            for name, line in lengths.items()
        ),
        *(
            Case(f"coding/{name}", post(line, b"0\r\n\r\n" + EVIL), (400,))
            for name, line in codings.items()
        ),
        Case(
            "coding/http-1.0",
            post(CHUNKED, b"0\r\n\r\n" + EVIL, b"POST /v1/messages HTTP/1.0"),
            (400,),
        ),
        *(Case(f"chunk/{name}", post(CHUNKED, data), (400,)) for name, data in chunks.items()),
        Case("chunk/good", post(CHUNKED, b"2\r\n{}\r\n0\r\n\r\n"), (200,)),
        Case("chunk/extension", post(CHUNKED, b"2;a=b\r\n{}\r\n0\r\n\r\n"), (200,)),
        Case(
            "chunk/trailers",
            post(CHUNKED + b"Trailer: X-A\r\n", b"2\r\n{}\r\n0\r\nX-A: 1\r\n\r\n"),
            (200,),
        ),
        Case(
            "chunk/many-trailers",
            post(CHUNKED, b"2\r\n{}\r\n0\r\n" + b"X-A: 1\r\n" * 50 + b"\r\n"),
            (200,),
        ),
        Case("chunk/secret-trailer", post(CHUNKED, b"0\r\nx-api-key: evil\r\n\r\n"), (200, 400)),
        Case("chunk/bytewise", post(CHUNKED, b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"), (200,)),
    ]


def _sizes() -> list[Case]:
    """Bodies that are too large, or never come."""
    many = b"".join(b"8000\r\n" + b"a" * 0x8000 + b"\r\n" for _ in range(40))
    return [
        Case("size/announced", post(_length(str(LIMIT + 1).encode())), (413,)),
        Case("size/announced-1-tb", post(_length(b"1099511627776"), b"a" * 1000), (413,)),
        Case("size/announced-18-digits", post(_length(b"9" * 18)), (413,)),
        Case("size/sent", post(_length(str(LIMIT + 1).encode()), b"a" * (LIMIT + 1)), (413,)),
        Case("size/chunked", post(CHUNKED, many), (413,)),
        Case(
            "size/expect-continue", post(b"Expect: 100-continue\r\n" + _length(b"99999999")), (413,)
        ),
        Case("slow/head", b"GET /v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-", (0,)),
        Case("slow/line", b"GET /v1", (0,)),
        Case("slow/nothing", b"", (0,)),
        Case("slow/body", post(_length(b"100"), b"abc"), (0,)),
        Case("slow/chunk", post(CHUNKED, b"5\r\nab"), (0,)),
        Case("cut/line", b"GET /v1", (0,), half_close=True),
        Case("cut/head", b"GET /v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\n", (0,), half_close=True),
        Case("cut/body", post(_length(b"100"), b"abc"), (0,), half_close=True),
        Case("cut/chunk", post(CHUNKED, b"5\r\nab"), (0,), half_close=True),
        Case("cut/at-once", b"", (0,), half_close=True),
    ]


def _bodies() -> list[Case]:
    """Well framed, with content that may be anything: passed on, or refused, at once."""
    deep = b"[" * 100_000
    contents = {
        "deep-json": deep, "deep-json-closed": deep + b"]" * 100_000, "nan": b'{"model": NaN}',
        "nul": b"\x00" * 100,
        "lone-surrogate": b'{"model": "\\ud800"}', "bad-utf8": b'{"model": "\xff"}',
        "huge-int": b"1" * 5000,
        "duplicate-keys": b'{"model":"a","model":"b"}', "not-json": b"model=x", "array": b"[]",
        "bom": b"\xef\xbb\xbf{}",
    }  # fmt: skip
    head = b"Content-Type: application/json\r\n"
    cases = [
        Case(f"body/{name}", post(head + _length(b"%d" % len(c)), c), (200, 400))
        for name, c in contents.items()
    ]
    lies = {
        "gzip": b"not gzip",
        "br": b"\xff\xff",
        "zstd": b"(\xb5/\xfd",
        "deflate": b"x",
        "made-up": b"x",
    }
    return cases + [
        Case(
            f"body/false-{name}",
            post(b"Content-Encoding: " + name.encode() + b"\r\n" + _length(b"%d" % len(c)), c),
            (200, 400),
        )
        for name, c in lies.items()
    ]


CASES = [
    *_lines(),
    *_targets(),
    *_headers(),
    *_hosts(),
    *_origins(),
    *_framing(),
    *_sizes(),
    *_bodies(),
]
