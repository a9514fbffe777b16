"""Addresses of this machine, told by the kernel's choice of a source."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from interceptor.wireguard.own_addresses import is_own_address
from tests.environment import need


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "127.8.8.8", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0"]
)
def test_loopback_in_every_spelling_is_this_machine(text: str) -> None:
    assert is_own_address(ip_address(text))


@pytest.mark.parametrize("text", ["192.0.2.1", "198.51.100.7", "2001:db8::1", "::ffff:192.0.2.1"])
def test_an_address_elsewhere_is_not(text: str) -> None:
    assert not is_own_address(ip_address(text))


def test_the_address_of_a_network_card_is_this_machine() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        # No packet is sent: connecting a datagram socket only chooses its addresses.
        try:
            asking.connect(("192.0.2.1", 9))
            own = asking.getsockname()[0]
        except OSError:
            own = ""
    need("a network beside loopback", bool(own))
    assert not ip_address(own).is_loopback
    assert is_own_address(ip_address(own))
    assert is_own_address(ip_address(f"::ffff:{own}"))
