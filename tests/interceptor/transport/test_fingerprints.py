"""The handshakes of profiles, measured by the product's own reader of ClientHellos."""

from __future__ import annotations

import hashlib

import pytest
from curl_cffi import Curl
from curl_cffi.requests.impersonate import resolve_latest_browser_type

from providers.fingerprint_profiles import CAPTURED, profile_names
from tests.interceptor.transport.conftest import HOST, Start, ask, corp
from tests.interceptor.transport.hello_reader import hello_reader


# JA4 as published for these browsers, such as in FoxIO's database; Chrome shuffles its extensions,
# so its JA3 is another one each time. JA3 of Firefox 135 and Safari 17 as tls.peet.ws shows them.
@pytest.mark.parametrize(
    ("profile", "ja4", "ja3"),
    [
        ("chrome131", "t13d1516h2_8daaf6152771_02713d6af862", ""),
        (
            "firefox135",
            "t13d1717h2_5b57614c22b0_3cbfd9057e0d",
            "6f7889b9fb1a62a9577e685c1fcfa919",
        ),
        (
            "safari170",
            "t13d2014h2_a09f3c656075_14788d8d241b",
            "773906b0efdefa24a7f2b8eb6985bf37",
        ),
    ],
)
def test_a_profile_has_the_published_fingerprint(
    profile: str, ja4: str, ja3: str, start: Start
) -> None:
    with hello_reader() as (port, hellos):
        response = ask(start(port, corp(fingerprint_profile=profile)))
        assert response.status_code == 502
        assert hellos[0].ja4 == ja4
        assert hellos[0].sni == HOST
        assert not ja3 or hellos[0].ja3 == ja3


def test_chrome_131_has_the_published_ja3_with_sorted_extensions(start: Start) -> None:
    with hello_reader() as (port, hellos):
        ask(start(port))
        version, ciphers, extensions, *rest = hellos[0].ja3_full.split(",")
        listed = "-".join(sorted(extensions.split("-"), key=int))
        text = ",".join((version, ciphers, listed, *rest))
        # JA3N, as tls.browserleaks.com shows it of this profile.
        assert hashlib.md5(text.encode()).hexdigest() == "dee19b855b658c6aa0f575eda2525e19"


def test_without_a_profile_the_handshake_is_ccproxys_own(start: Start) -> None:
    with hello_reader() as (port, hellos):
        proxy = start(port, corp(fingerprint_profile=""))
        ask(proxy)
        assert hellos[0].ja4 != "t13d1516h2_8daaf6152771_02713d6af862"
        assert proxy.proxy.transport.server is None


def test_libcurl_has_every_profile_that_may_be_saved() -> None:
    assert "chrome131" in profile_names()
    unknown = []
    for name in set(profile_names()) - {CAPTURED}:
        browser = resolve_latest_browser_type(name)  # type: ignore[no-untyped-call]
        if Curl().impersonate(browser, default_headers=False) != 0:
            unknown.append(name)
    assert unknown == []
