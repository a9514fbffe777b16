"""Ways in which a provider misbehaves, as steps of a raw upstream, and what its client may see.

A table, no tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.fakes.raw_upstream import GOOD, Step

ECHO = b"echo-me-7f3a9c"
"""Stands in what a broken provider sends; none of it may come back in our own error."""

OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SSE = OK + b"Content-Type: text/event-stream\r\n"


@dataclass(frozen=True)
class Case:
    """`status` is what the client gets; `whole` says whether its body must be complete, `body` what
    it must be.
    """

    name: str
    steps: Callable[[], Iterable[Step]]
    status: int
    body: bytes | None = None
    whole: bool = True
    reads_first: bool = True

    @property
    def stalls(self) -> bool:
        """True where only an idle timeout ends the wait."""
        return "hang" in self.steps()


def _c(name: str, *steps: Step, status: int = 502, **more: object) -> Case:
    return Case(name, lambda: steps, status, **more)  # type: ignore[arg-type]


def _before_the_answer() -> list[Case]:
    hang = {
        "hang": b"", "hang-in-status-line": b"HTTP/1.1 2", "hang-in-head": OK + b"X-A: " + ECHO,
        "hang-after-103": EARLY,
    }  # fmt: skip
    return [
        _c("reset-at-once", "reset", reads_first=False),
        _c("close-at-once", reads_first=False),
        _c("reset-after-request", "reset"),
        _c("close-after-request"),
        _c("close-in-status-line", b"HTTP/1.1 20"),
        _c("close-in-head", OK + b"X-A: " + ECHO),
        _c("reset-in-head", OK + b"X-A: " + ECHO, "reset"),
        *(_c(name, sent, "hang", status=504) for name, sent in hang.items()),
        _c("speaks-first", GOOD, reads_first=False, status=200),
    ]


EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


def _garbage() -> list[Case]:
    return [
        _c("garbage", bytes(range(256)) * 4 + ECHO),
        _c("html", b"<html><body>" + ECHO + b"</body></html>"),
        _c("json-without-head", b'{"error": "' + ECHO + b'"}'),
        _c("ssh", b"SSH-2.0-" + ECHO + b"\r\n"),
        _c("tls-alert", b"\x15\x03\x01\x00\x02\x02\x46" + ECHO),
        _c("http2-settings", b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + ECHO),
        _c("http2-status-line", b"HTTP/2 200\r\n\r\n" + ECHO),
        _c("status-without-number", b"HTTP/1.1 OK\r\n\r\n" + ECHO),
        _c("status-99", b"HTTP/1.1 99 X\r\n\r\n" + ECHO),
        _c("status-1000", b"HTTP/1.1 1000 X\r\n\r\n" + ECHO),
        _c("status-negative", b"HTTP/1.1 -200 X\r\n\r\n" + ECHO),
        _c("status-plus", b"HTTP/1.1 +200 X\r\n\r\n" + ECHO),
        _c("nul-in-reason", b"HTTP/1.1 200 O\x00K\r\n\r\n" + ECHO),
        _c("no-reason", b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", status=200, body=b"{}"),
        _c("lf-lines", b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", status=200, body=b"{}"),
        _c("http-1.0", b"HTTP/1.0 200 OK\r\n\r\n{}", status=200, body=b"{}"),
    ]


def _heads() -> list[Case]:
    bad = {
        "no-colon": ECHO, "nul-in-value": b"X-A: \x00" + ECHO,
        "bare-cr-in-value": b"X-A: a\rEvil: " + ECHO,
        "space-in-name": b"X A: " + ECHO, "fold": b"X-A: a\r\n " + ECHO, "empty-name": b": " + ECHO,
        "length-words": b"Content-Length: " + ECHO, "length-negative": b"Content-Length: -1",
        "length-two": b"Content-Length: 2\r\nContent-Length: 3",
        "length-and-chunked": b"Content-Length: 2\r\n" + CHUNKED[:-2],
        "coding-unknown": b"Transfer-Encoding: " + ECHO,
        "coding-twice": b"Transfer-Encoding: chunked, chunked",
    }  # fmt: skip
    endless = [b"X-A: " + ECHO * 800 + b"\r\n"] * 3000
    return [
        *(_c(f"header/{name}", OK + line + b"\r\n\r\n{}") for name, line in bad.items()),
        _c("header/32-mb", OK, endless),
        _c("header/one-of-1-mb", OK + b"X-A: " + ECHO * 80_000 + b"\r\n\r\n"),
        _c("header/endless-status-line", b"HTTP/1.1 200 " + ECHO * 80_000),
        _c("header/5000", OK + b"X-A: 1\r\n" * 5000 + b"Content-Length: 2\r\n\r\n{}"),
        _c("header/byte-by-byte", [bytes([b]) for b in GOOD], status=200, body=b"{}"),
    ]


def _interim() -> list[Case]:
    return [
        _c("interim/100", b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD, status=200, body=b"{}"),
        _c("interim/102", b"HTTP/1.1 102 Processing\r\n\r\n", 0.05, GOOD, status=200, body=b"{}"),
        _c("interim/103", EARLY + GOOD, status=200, body=b"{}"),
        _c(
            "interim/103-in-pieces",
            EARLY[:20],
            0.05,
            EARLY[20:] + GOOD[:9],
            0.05,
            GOOD[9:],
            status=200,
            body=b"{}",
        ),
        _c("interim/103-x-1000", [EARLY] * 1000, GOOD, status=200, body=b"{}"),
        _c("interim/103-without-end", EARLY * 10_500, GOOD),
        _c("interim/101-unasked", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + ECHO),
        _c("interim/103-then-close", EARLY),
    ]


def _bodies() -> list[Case]:
    chunked = OK + JSON + CHUNKED + b"\r\n"
    error = b"HTTP/1.1 500 Oops\r\n" + JSON
    many = [b"10000\r\n" + b"a" * 0x10000 + b"\r\n"] * 1100
    return [
        _c("body/cut", OK + JSON + b"Content-Length: 100\r\n\r\n{", status=200, whole=False),
        _c("body/reset", OK + JSON + b"Content-Length: 100\r\n\r\n{", 0.05, "reset", status=200,
        whole=False),
        _c("body/stalled", OK + JSON + b"Content-Length: 100\r\n\r\n{", "hang", status=200,
        whole=False),
        _c("body/more-than-announced", GOOD + ECHO, status=200, body=b"{}"),
        _c("body/second-answer-unasked", GOOD + GOOD, status=200, body=b"{}"),
        _c("body/204-with-body", b"HTTP/1.1 204 No\r\n\r\n" + ECHO, status=204),
        _c("body/304-with-length", b"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", status=304),
        _c("body/until-close", OK + JSON + b"\r\n{}", status=200, body=b"{}"),
        _c("body/empty-until-close", OK + JSON + b"\r\n", status=200, body=b""),
        _c("body/false-gzip", OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        status=200, body=b"abc"),
        _c("chunk/good", chunked + b"2\r\n{}\r\n0\r\n\r\n", status=200, body=b"{}"),
        _c("chunk/trailers", chunked + b"2\r\n{}\r\n0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n", status=200,
        body=b"{}"),
        _c("chunk/bad-size", chunked + b"zz\r\n" + ECHO, status=200, whole=False),
        _c("chunk/huge-size", chunked + b"f" * 17 + b"\r\n" + ECHO, status=200, whole=False),
        _c("chunk/no-crlf", chunked + b"2\r\n{}XX" + ECHO, status=200, whole=False),
        _c("chunk/cut", chunked + b"5\r\nab", status=200, whole=False),
        _c("chunk/no-last", chunked + b"2\r\n{}\r\n", status=200, whole=False),
        _c("chunk/endless-trailers", chunked + b"2\r\n{}\r\n0\r\n", [b"X-A: 1\r\n"] * 20_000,
        status=200, whole=False),
        _c("error/passes", error + b"Content-Length: 2\r\n\r\n{}", status=500, body=b"{}"),
        _c("error/429", b"HTTP/1.1 429 No\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}",
        status=429, body=b"{}"),
        _c("error/cut", error + b"Content-Length: 100\r\n\r\n" + ECHO),
        _c("error/stalled", error + b"Content-Length: 100\r\n\r\n" + ECHO, "hang", status=504),
        _c("error/bad-chunk", error + CHUNKED + b"\r\nzz\r\n" + ECHO),
        _c("error/endless", error + CHUNKED + b"\r\n", many),
    ]  # fmt: skip


CASES = [*_before_the_answer(), *_garbage(), *_heads(), *_interim(), *_bodies()]

EVENT = b'event: ping\ndata: {"type":"ping"}\n\n'
STREAM_HEAD = SSE + CHUNKED + b"\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


CUTS: dict[str, tuple[Step, ...]] = {
    "reset": (0.05, "reset"),
    "close": (),
    "stall": ("hang",),
    "bad-chunk": (b"zz\r\n" + ECHO,),
    "cut-in-chunk": (b"50\r\nevent: pi",),
}
