"""Our own calls to the site: with the handshake of the provider's profile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from providers.auth.resolve import Credential
from providers.fingerprint_profiles import CAPTURED
from providers.perplexity.library import Library
from providers.perplexity.site_calls import Site, SiteFailed
from providers.wire.perplexity.ask_conf import SESSION_COOKIE, ThreadConf
from tests.fakes.perplexity import TOKEN, PerplexityUpstream
from tests.interceptor.proxied import provider
from tests.interceptor.transport.hello_reader import hello_reader

CHROME_CIPHERS = "8daaf6152771"
"""Second part of the JA4 of Chrome 131; the others depend on the server's name."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[PerplexityUpstream]:
    with PerplexityUpstream() as server:
        yield server


def library(port: int, profile: str, **more: Any) -> Library:
    conf = provider("pplx", port, type="perplexity_pro", fingerprint_profile=profile, **more)
    session = f"{SESSION_COOKIE}={TOKEN}"
    return Library(Site(conf, Credential("cookie", session, TOKEN, "test")), ThreadConf())


@pytest.mark.parametrize("profile", ["", "chrome131", CAPTURED])
def test_the_site_takes_calls_with_each_profile(upstream: PerplexityUpstream, profile: str) -> None:
    limits = asyncio.run(library(upstream.port, profile).limits())
    assert limits["remaining_pro"] == 300
    seen = upstream.requests[-1]
    assert seen.header("cookie") == f"{SESSION_COOKIE}={TOKEN}"
    assert "curl" not in (seen.header("user-agent") or "")


@pytest.mark.parametrize(("profile", "is_chrome"), [("chrome131", True), ("", False)])
def test_the_handshake_is_the_profile_s(profile: str, is_chrome: bool) -> None:
    # The reader hangs up after the handshake's first message.
    with hello_reader() as (port, hellos), pytest.raises(SiteFailed, match="could not be asked"):
        asyncio.run(library(port, profile, scheme="https").limits())
    assert (hellos[0].ja4.split("_")[1] == CHROME_CIPHERS) is is_chrome
