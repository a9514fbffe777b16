"""Downloads that a client asks for reach the public internet alone."""

from __future__ import annotations

import ipaddress

import pytest

from providers.base.errors import RefuseRequest
from providers.perplexity.address_guard import Address, GuardedBackend, is_public
from providers.perplexity.attachments import Attachment, download, of_data_uri
from providers.wire.perplexity.ask_conf import UploadConf
from tests.fakes.upstream import Script, Seen, Upstream

LIMITS = UploadConf(max_file_bytes=1000, fetch_timeout_s=5.0)
INSIDE = (
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::1]",
    "0.0.0.0", "[::]", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]", "[fe80::1]", "[fc00::1]", "[fd12::1]", "[ff02::1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:1:1:1:1:80ff:fffe]", "[2001:db8::1]",
    "[fec0::1]",
)  # fmt: skip


@pytest.mark.parametrize("host", INSIDE)
async def test_addresses_inside_are_refused(host: str) -> None:
    with pytest.raises(RefuseRequest, match=r"public internet|not known|cannot be read"):
        await download(f"http://{host}:1/image.png", LIMITS, GuardedBackend())


def test_there_are_thirty_and_the_public_ones_pass() -> None:
    assert len(INSIDE) >= 30
    for text in ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"):
        assert is_public(ipaddress.ip_address(text)), text


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://a.example/x",
        "gopher://a.example",
        "http://user:word@a.example/x",
        "http:///x",
        "//a.example/x",
        "http://8.8.8.8\\@127.0.0.1/",
        "http://127.0.0.1#@8.8.8.8/",
    ],
)
async def test_other_schemes_and_users_are_refused(url: str) -> None:
    with pytest.raises(RefuseRequest):
        await download(url, LIMITS, GuardedBackend())


async def test_what_is_checked_is_what_is_connected_to() -> None:
    """A name server that answers differently each time gains nothing: it is asked once."""
    answers = iter([["127.0.0.1"], ["8.8.8.8"]])
    asked = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    with pytest.raises(RefuseRequest, match="public internet"):
        await download("http://rebinding.example/x", LIMITS, GuardedBackend(resolve=resolve))
    assert asked == ["rebinding.example"]


async def test_one_address_inside_refuses_the_name() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(RefuseRequest, match="public internet"):
        await download("http://both.example/x", LIMITS, GuardedBackend(resolve=resolve))


def outside(port: int, *names: str) -> GuardedBackend:
    """A guard that takes the scripted server for the internet, under some names alone."""

    async def resolve(host: str, _: int) -> list[str]:
        return ["127.0.0.1"] if host in names else ["127.0.0.2"]

    def permits(address: Address) -> bool:
        return str(address) == "127.0.0.1"

    return GuardedBackend(permits, resolve)


async def test_a_download_and_its_redirects(upstream: Upstream) -> None:
    image = Script(headers=(("content-type", "image/png; x=1"),), pieces=(b"png",))
    upstream.scripts["/a%20b.png"] = image
    moved = (("location", "/a%20b.png"),)
    upstream.scripts["/moved"] = Script(status=302, headers=moved, pieces=(b"",))
    base, guard = f"http://good.example:{upstream.port}", outside(upstream.port, "good.example")
    found = await download(f"{base}/moved?signed=1", LIMITS, guard)
    assert found == Attachment("a b.png", "image/png", b"png")


@pytest.mark.parametrize("target", ["http://bad.example/x", "http://[::1]/", "file:///etc/passwd"])
async def test_a_redirect_inside_is_refused(upstream: Upstream, target: str) -> None:
    moved = Script(status=302, headers=(("location", target),), pieces=(b"",))
    upstream.scripts["/away"] = moved
    guard = outside(upstream.port, "good.example")
    with pytest.raises(RefuseRequest):
        await download(f"http://good.example:{upstream.port}/away", LIMITS, guard)


async def test_redirects_without_end_are_refused(upstream: Upstream) -> None:
    upstream.scripts["/round"] = Script(
        status=302, headers=(("location", "/round"),), pieces=(b"",)
    )
    upstream.requests.clear()
    guard = outside(upstream.port, "good.example")
    with pytest.raises(RefuseRequest, match="more than 3 times"):
        await download(f"http://good.example:{upstream.port}/round", LIMITS, guard)
    assert len(upstream.requests) == 4


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_large_file_is_not_read_to_its_end(upstream: Upstream, framing: str) -> None:
    pieces = (b"x" * 600,) * 4000

    def large(_: Seen) -> Script:
        return Script(pieces=pieces, framing=framing)

    upstream.scripts["/large"] = large
    guard = outside(upstream.port, "good.example")
    with pytest.raises(RefuseRequest, match="larger than 1000 bytes"):
        await download(f"http://good.example:{upstream.port}/large", LIMITS, guard)
    sent = sum(len(data) for _, data in upstream.last.sent)
    assert sent < 600 * 4000 or framing == "length"


async def test_a_missing_file_is_named(upstream: Upstream) -> None:
    upstream.scripts["/gone"] = Script(status=404)
    guard = outside(upstream.port, "good.example")
    with pytest.raises(RefuseRequest, match="status 404"):
        await download(f"http://good.example:{upstream.port}/gone?token=secret", LIMITS, guard)


def test_data_uris() -> None:
    assert of_data_uri("data:image/png;base64,cG5n", 10).data == b"png"
    assert of_data_uri("data:text/plain,a%20b", 10) == Attachment("image.txt", "text/plain", b"a b")
    for wrong in ("data:image/png;base64", "data:image/png;base64,%%%", "data:x;base64,A"):
        with pytest.raises(RefuseRequest):
            of_data_uri(wrong, 10)
    with pytest.raises(RefuseRequest, match="larger"):
        of_data_uri("data:image/png;base64," + "A" * 400, 100)
