"""One request on libcurl, with back-pressure.

`sessions`, `captured_hello` and this are all that imports curl-cffi.

curl-cffi's own AsyncSession keeps a stream in a queue without a limit. Here libcurl is paused while
the reader is slower than the provider.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from curl_cffi import AsyncCurl, Curl, CurlError, CurlHttpVersion, CurlOpt, ffi, lib
from curl_cffi.curl import CURL_WRITEFUNC_PAUSE, CURLPAUSE_CONT
from curl_cffi.requests.impersonate import resolve_latest_browser_type

from interceptor.transport.captured_hello import set_hello
from interceptor.transport.detour import Destination, IncomingHead, OutgoingHead
from interceptor.transport.head_lines import ResponseLines, request_lines
from providers.base.upstream_proxy import UpstreamProxy
from shapes.replay.captured_handshake import CapturedHandshake

MAX_BUFFERED_BYTES = 256 * 1024
"""Of one response, between libcurl and its reader."""
CONNECT_TIMEOUT_MS = 30_000
_SOCKET_TIMEOUT, _POLL_NONE = -1, 0


class TransferFailed(Exception):
    """The message goes on behind the provider's name: "could not be reached: …"."""


class Abandoned(Exception):
    """The reader of the response has left."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where connections go, and how. Transfers with equal routes may share connections."""

    destination: Destination
    profile: str
    verify: bool = True
    ca_file: str = ""
    """PEM file of the certificate authorities; "": curl-cffi's choice."""
    proxy: UpstreamProxy | None = None
    handshake: CapturedHandshake | None = None
    """Takes the place of the profile's."""
    really_at: tuple[str, int] | None = None
    """Address that a setting puts in the destination's place."""


class Transfer:
    """A request that runs, and its response. `close` ends it at any time.

    Raises:
        TransferFailed: libcurl refuses the request.
    """

    def __init__(self, multi: AsyncCurl, route: Route, head: OutgoingHead, body: bytes) -> None:
        self._multi = multi
        self._lines = ResponseLines()
        self._chunks: list[bytes] = []
        self._size = 0
        self._is_paused = False
        self._is_abandoned = False
        self._wake = asyncio.Event()
        self._curl = Curl(cacert=route.ca_file)
        self._places: Any = None
        try:
            self._set_route(route)
            self._set_request(head, body)
            self._done: asyncio.Future[None] = multi.add_handle(self._curl)
        except (CurlError, ValueError) as exc:
            self._free()
            raise TransferFailed(f"cannot be sent this request: {_plain(exc)}") from None
        self._done.add_done_callback(self._ended)
        # libcurl begins when its timer rings; this saves the wait for it.
        self._kick()

    def _set_route(self, route: Route) -> None:
        curl, destination = self._curl, route.destination
        if route.handshake is None:
            self._set_browser(route.profile)
        else:
            set_hello(curl, route.handshake)
        host = f"[{destination.host}]" if ":" in destination.host else destination.host
        curl.setopt(CurlOpt.URL, f"{destination.scheme}://{host}:{destination.port}/")
        curl.setopt(CurlOpt.PROTOCOLS_STR, destination.scheme)
        curl.setopt(CurlOpt.FOLLOWLOCATION, 0)
        curl.setopt(CurlOpt.NOSIGNAL, 1)
        curl.setopt(CurlOpt.CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS)
        if destination.scheme == "http":
            curl.setopt(CurlOpt.HTTP_VERSION, CurlHttpVersion.V1_1)
        curl.setopt(CurlOpt.SSL_VERIFYPEER, int(route.verify))
        curl.setopt(CurlOpt.SSL_VERIFYHOST, 2 if route.verify else 0)
        # An empty text keeps libcurl from reading variables of its own.
        curl.setopt(CurlOpt.PROXY, route.proxy.url if route.proxy else "")
        curl.setopt(CurlOpt.NOPROXY, "")
        curl.setopt(CurlOpt.SUPPRESS_CONNECT_HEADERS, 1)
        if route.proxy and route.proxy.auth:
            curl.setopt(CurlOpt.PROXYUSERNAME, route.proxy.username)
            curl.setopt(CurlOpt.PROXYPASSWORD, route.proxy.password)
        if route.really_at:
            address, port = route.really_at
            address = f"[{address}]" if ":" in address else address
            self._places = lib.curl_slist_append(ffi.NULL, f"::{address}:{port}".encode())
            curl.setopt(CurlOpt.CONNECT_TO, self._places)

    def _set_browser(self, profile: str) -> None:
        # "chrome" is the newest of them. Headers are the client's, not the browser's.
        browser: str = resolve_latest_browser_type(profile)  # type: ignore[no-untyped-call]
        if self._curl.impersonate(browser, default_headers=False) != 0:
            raise ValueError(f"libcurl has no profile {profile}")

    def _set_request(self, head: OutgoingHead, body: bytes) -> None:
        curl = self._curl
        if head.method == "HEAD":
            curl.setopt(CurlOpt.NOBODY, 1)
        elif body or head.method in ("POST", "PUT", "PATCH"):
            curl.setopt(CurlOpt.POST, 1)
            curl.setopt(CurlOpt.POSTFIELDSIZE_LARGE, len(body))
            curl.setopt(CurlOpt.POSTFIELDS, body)
        curl.setopt(CurlOpt.CUSTOMREQUEST, head.method)
        # As the client wrote it: neither dot segments nor escapes are touched.
        curl.setopt(CurlOpt.REQUEST_TARGET, head.target)
        curl.setopt(CurlOpt.HTTPHEADER, request_lines(head.fields))
        curl.setopt(CurlOpt.ACCEPT_ENCODING, ffi.NULL)
        curl.setopt(CurlOpt.HTTP_CONTENT_DECODING, 0)
        curl.setopt(CurlOpt.HEADERFUNCTION, self._take_line)
        curl.setopt(CurlOpt.WRITEFUNCTION, self._take_chunk)

    # --- called by libcurl, within a callback of the loop

    def _take_line(self, line: bytes) -> int:
        self._lines.feed(line)
        if self._lines.head is not None:
            self._wake.set()
        return len(line)

    def _take_chunk(self, data: bytes) -> int:
        # libcurl gives a refused chunk again once it goes on.
        if self._size >= MAX_BUFFERED_BYTES:
            self._is_paused = True
            return CURL_WRITEFUNC_PAUSE
        self._chunks.append(data)
        self._size += len(data)
        self._wake.set()
        return len(data)

    def _ended(self, _: asyncio.Future[None]) -> None:
        self._wake.set()

    # --- the reader

    async def head(self) -> IncomingHead:
        """Return the head of the final response.

        Raises:
            TransferFailed: there is none.
            Abandoned: the reader has left.
        """
        while self._lines.head is None:
            if self._done.done():
                self._raise_failure("closed the connection without a response")
                raise TransferFailed("closed the connection without a response")
            await self._sleep()
        return self._lines.head

    async def chunk(self) -> bytes:
        """Return the next bytes of the body as they came, b"" at its end.

        Raises:
            TransferFailed: the response broke off.
            Abandoned: the reader has left.
        """
        while not self._chunks:
            if self._done.done():
                self._raise_failure("closed the connection in the middle of its response")
                return b""
            await self._sleep()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        if self._is_paused:
            self._is_paused = False
            self._curl.pause(CURLPAUSE_CONT)
            self._kick()
        return data

    async def _sleep(self) -> None:
        if not self._is_abandoned:
            self._wake.clear()
            await self._wake.wait()
        if self._is_abandoned:
            raise Abandoned

    def abandon(self) -> None:
        """End the reader's wait: it then gets `Abandoned`."""
        self._is_abandoned = True
        self._wake.set()

    def _raise_failure(self, broke: str) -> None:
        exc = None if self._done.cancelled() else self._done.exception()
        if exc is None:
            return
        if self._lines.head is not None:
            raise TransferFailed(f"{broke} ({_plain(exc)})") from None
        raise TransferFailed(f"could not be reached or did not respond: {_plain(exc)}") from None

    def _kick(self) -> None:
        multi = self._multi
        multi.loop.call_soon(multi.process_data, _SOCKET_TIMEOUT, _POLL_NONE)

    def close(self) -> None:
        """End the request: libcurl closes its connection, or resets its HTTP/2 stream."""
        if not self._done.done():
            self._multi.remove_handle(self._curl)
        elif not self._done.cancelled():
            # Seen, so that asyncio does not report it.
            self._done.exception()
        self._free()

    def _free(self) -> None:
        self._curl.close()
        if self._places is not None:
            lib.curl_slist_free_all(self._places)
            self._places = None


def _plain(exc: BaseException) -> str:
    """Return libcurl's own words, without curl-cffi's around them.

    "Failed to perform, curl: (7) Failed to connect. See https://…" → "Failed to connect (curl: 7)"
    """
    text = str(exc).partition(". See https://curl.se")[0].rstrip(".")
    _, found, words = text.partition("curl: (")
    if not found:
        return text[:200]
    code, _, sentence = words.partition(") ")
    return f"{sentence[:200]} (curl: {code})"
