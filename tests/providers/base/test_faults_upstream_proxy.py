"""Which proxy leads to a destination: the setting, the variables, and what is exempt."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base.errors import ConfigError
from providers.base.upstream_proxy import (
    UpstreamProxy,
    choose_proxies,
    parse_no_proxy,
    parse_proxy,
)

CORP = "http://corp.test:3128"


def _of(environ: dict[str, str], scheme: str, host: str, setting: str | None = None) -> str:
    proxies, _ = choose_proxies(setting, environ)
    found = proxies.of(scheme, host, 443 if scheme == "https" else 80)
    return found.label if found else ""


@pytest.mark.parametrize("spelling", [str.upper, str.lower])
@pytest.mark.parametrize(
    ("name", "scheme", "leads"),
    [
        ("HTTPS_PROXY", "https", True),
        ("HTTPS_PROXY", "http", False),
        ("HTTP_PROXY", "http", True),
        ("HTTP_PROXY", "https", False),
        ("ALL_PROXY", "http", True),
        ("ALL_PROXY", "https", True),
    ],
)
def test_each_variable_is_for_its_scheme(
    name: str, scheme: str, leads: bool, spelling: type[str]
) -> None:
    variable = str(spelling(name))
    label = _of({variable: CORP}, scheme, "api.test")
    assert label == (f"the proxy corp.test:3128 ({variable})" if leads else "")


def test_the_setting_wins_and_direct_ignores_the_variables() -> None:
    environ = {"HTTPS_PROXY": CORP, "https_proxy": "http://lower.test:1"}
    assert "lower.test:1 (https_proxy)" in _of(environ, "https", "api.test")
    assert "mine.test:80 (upstream_proxy)" in _of(environ, "https", "api.test", "mine.test")
    assert _of(environ, "https", "api.test", "direct") == ""


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "a.localhost"])
def test_this_machine_is_reached_directly(host: str) -> None:
    assert _of({"ALL_PROXY": CORP}, "http", host) == ""


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "exempt"),
    [
        ("*", "api.test", 443, True),
        ("corp.test", "corp.test", 443, True),
        ("corp.test", "API.Corp.Test.", 443, True),
        (".corp.test", "api.corp.test", 443, True),
        ("*.corp.test", "api.corp.test", 443, True),
        ("corp.test", "notcorp.test", 443, False),
        ("a.test:8443", "a.test", 8443, True),
        ("a.test:8443", "a.test", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "11.1.2.3", 443, False),
        ("192.0.2.7", "192.0.2.7", 443, True),
        ("fd00::/8", "fd00::1", 443, True),
        ("[2001:db8::1]:443", "2001:db8::1", 443, True),
        ("a.test , b.test", "b.test", 443, True),
        ("", "b.test", 443, False),
    ],
)
def test_exemptions(no_proxy: str, host: str, port: int, exempt: bool) -> None:
    for setting in (None, CORP):
        proxies, _ = choose_proxies(setting, {"https_proxy": CORP, "no_proxy": no_proxy})
        assert (proxies.of("https", host, port) is None) is exempt


@given(user=st.text(min_size=1), password=st.text())
def test_credentials_survive_their_encoding_and_are_never_shown(user: str, password: str) -> None:
    text = f"http://{_quoted(user)}:{_quoted(password)}@corp.test:3128"
    found = parse_proxy(text, "HTTPS_PROXY")
    assert found.auth == (_plain(user), _plain(password))
    assert repr(found) == repr(UpstreamProxy("http", "corp.test", 3128, "HTTPS_PROXY"))
    assert found.label == "the proxy corp.test:3128 (HTTPS_PROXY)"
    assert found.url == CORP


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize(
    "text",
    [
        "socks5://me:hidden-0123@corp.test:1080",
        "http://me:hidden-0123@corp.test:port",
        "http://me:hidden-0123@corp.test:3128/path",
        "http://me:hidden-0123@",
        "http://me:hidden-0123@corp test",
        "http://me:hidden/0123@corp.test",
        "",
    ],
)
def test_an_unusable_value_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        choose_proxies(text, {})
    assert str(refused.value).startswith("upstream_proxy: ")
    assert "hidden" not in str(refused.value)
    if text:
        proxies, notes = choose_proxies(None, {"ALL_PROXY": text})
        assert proxies.https is None and len(notes) == 1
        assert notes[0].startswith("ALL_PROXY: ") and "hidden" not in notes[0]


@given(st.text())
def test_any_no_proxy_text_is_read(text: str) -> None:
    for exemption in parse_no_proxy(text):
        exemption.covers("api.test", 443)
