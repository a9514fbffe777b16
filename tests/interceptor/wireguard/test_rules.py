"""Allow-lists, overrides, and what names a destination: no network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.connection import Client, Server
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from interceptor.addons.capture.upstream import OWN_MACHINE, ChosenDestinations, UpstreamAddon
from interceptor.wireguard.answers import MAX_ADDRESSES, MAX_NAMES_EACH, Answers
from interceptor.wireguard.destination import Destination
from interceptor.wireguard.hosts import allowed_hosts
from interceptor.wireguard.hosts_file import HostsFile
from interceptor.wireguard.lease import Run, RunBook
from interceptor.wireguard.overrides import Overrides, parse_overrides
from providers.base.errors import ConfigError
from tests.interceptor.proxied import key_auth, provider


@pytest.mark.parametrize(
    ("entry", "host", "covered"),
    [
        ("a.test", "a.test", True),
        ("A.Test.", "a.TEST.", True),
        ("a.test", "b.a.test", False),
        ("a.test", "xa.test", False),
        ("a.test", "a.test.evil", False),
        ("*.a.test", "b.a.test", True),
        (".a.test", "c.b.a.test", True),
        ("*.a.test", "a.test", False),
        ("*.a.test", "xa.test", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.0/24", "192.0.3.1", False),
        ("2001:db8::/32", "[2001:db8::1]", True),
        ("192.0.2.7", "192.0.2.7.evil", False),
        ("a.test", "", False),
        ("a.test", "a.test\0", False),
    ],
)
def test_what_an_entry_covers(entry: str, host: str, covered: bool) -> None:
    assert allowed_hosts([entry]).covers(host) is covered


@pytest.mark.parametrize(
    "entry", ["", "*", "*.", "http://a.test", "a.test:443", "a b", "a.test/x", "ä.test", "*a.test"]
)
def test_what_is_no_entry(entry: str) -> None:
    with pytest.raises(ConfigError, match="--egress"):
        allowed_hosts([entry])


def test_nothing_listed_allows_nothing() -> None:
    assert not allowed_hosts([]).covers("a.test")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=200))
def test_answers_are_bounded_and_the_newest_is_first(added: list[tuple[int, int]]) -> None:
    answers = Answers()
    for name, address in added:
        answers.add(f"n{name}", f"192.0.2.{address}")
        assert answers.names(f"192.0.2.{address}")[0] == f"n{name}"
    assert answers.names("198.51.100.1") == ()


def test_answers_forget_the_oldest() -> None:
    answers = Answers()
    for number in range(MAX_ADDRESSES + 10):
        answers.add("a.test", str(number))
    for number in range(MAX_NAMES_EACH + 10):
        answers.add(f"n{number}", "same")
    assert answers.names("0") == () and len(answers.names("same")) == MAX_NAMES_EACH


@pytest.mark.parametrize(
    ("dns", "upstream", "named"),
    [
        ({"a": "nowhere"}, {}, "dns_overrides"),
        ({"a": "::1"}, {}, "IPv6"),
        ({}, {"a": "127.0.0.1"}, "upstream_overrides"),
        ({}, {"a": "127.0.0.1:0"}, "upstream_overrides"),
        ({}, {"a": "b.test:443"}, "upstream_overrides"),
    ],
)
def test_overrides_that_are_none(dns: dict[str, str], upstream: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        parse_overrides(dns, upstream)


def test_overrides() -> None:
    found = parse_overrides({"A.test": "192.0.2.1"}, {"A.test": "[::1]:8443"})
    assert str(found.addresses["a.test"]) == "192.0.2.1" and found.upstreams["a.test"] == (
        "::1",
        8443,
    )


GOOD = provider("good", 443, host="good.test", scheme="https", auth=key_auth())
AT_HOME = Destination("https", "192.0.2.10", 443, "good.test", ("good.test",))


@pytest.mark.parametrize(
    ("place", "home"),
    [
        (AT_HOME, True),
        (replace(AT_HOME, authorities=("GOOD.test:443",)), True),
        (replace(AT_HOME, scheme="http"), False),
        (replace(AT_HOME, port=8443), False),
        (replace(AT_HOME, sni=""), False),
        (replace(AT_HOME, sni="evil.test"), False),
        (replace(AT_HOME, authorities=()), False),
        (replace(AT_HOME, authorities=("good.test", "evil.test")), False),
        (replace(AT_HOME, authorities=("good.test:8443",)), False),
        (replace(AT_HOME, authorities=("x@good.test",)), False),
        (replace(AT_HOME, authorities=("good.test/x",)), False),
        (replace(AT_HOME, authorities=("good.test:x",)), False),
    ],
)
def test_a_providers_own_host(place: Destination, home: bool) -> None:
    assert place.is_own_host_of(GOOD) is home


@pytest.mark.parametrize(
    "more", [{"verify_tls": False}, {"scheme": "http"}, {"host": "other.test"}]
)
def test_a_provider_that_is_not_at_home_there(more: dict[str, object]) -> None:
    assert not AT_HOME.is_own_host_of(replace(GOOD, **more))  # type: ignore[arg-type]


def test_how_a_destination_is_called() -> None:
    assert AT_HOME.origin == "https://good.test"
    assert (
        Destination("http", "192.0.2.1", 8080, looked_up=("a.test",)).origin == "http://a.test:8080"
    )
    assert Destination("https", "2001:db8::1", 443).origin == "https://[2001:db8::1]"


def connection(
    address: tuple[str, int], *, mode: str = "wireguard:key@0", sni: str | None = None
) -> tuple[Client, Server]:
    client = Client(
        peername=("10.0.0.1", 5),
        sockname=address,
        timestamp_start=0.0,
        proxy_mode=ProxyMode.parse(mode),
        sni=sni,
    )
    return client, Server(address=address)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "0.0.0.0", "::1"])
def test_the_proxys_own_machine_is_not_reached(host: str) -> None:
    client, server = connection((host, 4000))
    UpstreamAddon(RunBook(), Overrides()).server_connect(ServerConnectionHookData(server, client))
    assert server.error == OWN_MACHINE


def test_only_the_client_whose_request_a_rule_sent_there_reaches_it() -> None:
    chosen = ChosenDestinations()
    addon = UpstreamAddon(RunBook(), Overrides(), chosen)
    client, server = connection(("127.0.0.1", 11434))
    chosen.choose(client, "127.0.0.1", 11434)
    addon.server_connect(ServerConnectionHookData(server, client))
    assert server.error is None
    for other_client, address in ((None, ("127.0.0.1", 11434)), (client, ("127.0.0.1", 5432))):
        fresh, other = connection(address)
        addon.server_connect(ServerConnectionHookData(other, other_client or fresh))
        assert other.error == OWN_MACHINE
    addon.client_disconnected(client)
    _, again = connection(("127.0.0.1", 11434))
    addon.server_connect(ServerConnectionHookData(again, client))
    assert again.error == OWN_MACHINE


def test_the_reverse_listener_reaches_it() -> None:
    client, server = connection(("127.0.0.1", 4000), mode="reverse:http://localhost:1")
    UpstreamAddon(RunBook(), Overrides()).server_connect(ServerConnectionHookData(server, client))
    assert server.error is None


def test_a_server_name_does_not_move_the_reverse_listeners_connections() -> None:
    overrides = parse_overrides({}, {"good.test": "127.0.0.1:9"})
    client, server = connection(
        ("other.test", 443), mode="reverse:http://localhost:1", sni="good.test"
    )
    UpstreamAddon(RunBook(), overrides).server_connect(ServerConnectionHookData(server, client))
    assert server.address == ("other.test", 443)


def test_an_override_keeps_the_name_that_was_meant() -> None:
    addon = UpstreamAddon(RunBook(), parse_overrides({}, {"good.test": "127.0.0.1:9"}))
    client, server = connection(("good.test", 443))
    data = ServerConnectionHookData(server, client)
    addon.server_connect(data)
    assert server.address == ("127.0.0.1", 9)
    addon.server_connected(data)
    assert server.address == ("good.test", 443) and addon._meant == {}


def test_the_hosts_file(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text(
        "# none\n192.0.2.1 One one.test # x two.test\n\n192.0.2.2\tone\n::1 six\nbad line\n"
    )
    hosts = HostsFile(path)
    assert [str(one) for one in hosts.lookup("one") or []] == ["192.0.2.1", "192.0.2.2"]
    assert (hosts.lookup("six"), hosts.lookup("two.test"), hosts.lookup("")) == ([], None, None)
    path.write_text("192.0.2.9 new.test\n")
    assert [str(one) for one in hosts.lookup("new.test") or []] == ["192.0.2.9"]
    path.unlink()
    assert hosts.lookup("new.test") is None


def test_an_address_is_allowed_when_it_was_looked_up() -> None:
    run = Run("i", "l", "c", allowed_hosts(["good.test"]))
    assert "--egress" in run.refusal_of_address("192.0.2.10")
    run.answers.add("good.test", "192.0.2.10")
    assert run.refusal_of_address("192.0.2.10") == ""
