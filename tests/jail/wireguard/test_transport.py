"""Packets under transport keys: padding, order, repetition, forgery."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jail.wireguard.replay import WINDOW, ReplayWindow
from tests.jail.wireguard.tunnel import Tunnel, flipped, ipv4

IPV6 = b"\x60\0\0\x40" + bytes(60)


@given(size=st.integers(0, 1400))
def test_every_length_arrives_as_it_was(size: int) -> None:
    tunnel = Tunnel()
    session = tunnel.connect()
    tunnel.sent.clear()
    packet = ipv4(b"x" * size)
    tunnel.engine.packet(packet)
    _, padded = session.open(tunnel.take())
    assert len(padded) % 16 == 0
    assert padded[: len(packet)] == packet
    tunnel.engine.datagram(session.seal(packet))
    assert tunnel.delivered == [packet]


def test_a_datagram_counts_once_and_order_does_not_matter() -> None:
    tunnel = Tunnel()
    session = tunnel.connect()
    datagrams = [session.seal(ipv4(bytes([number]))) for number in range(5)]
    for position in (0, 3, 3, 1, 1, 4, 2, 0):
        tunnel.engine.datagram(datagrams[position])
    assert [packet[20] for packet in tunnel.delivered] == [0, 3, 1, 4, 2]


@given(bit=st.integers(0, 64 * 8 - 1))
def test_a_changed_datagram_delivers_nothing(bit: int) -> None:
    tunnel = Tunnel()
    session = tunnel.connect()
    tunnel.engine.datagram(flipped(session.seal(ipv4(b"x" * 12)), bit))
    assert tunnel.delivered == []
    tunnel.engine.datagram(session.seal(ipv4()))
    assert tunnel.delivered == [ipv4()]


@given(
    st.binary(max_size=200),
    st.sampled_from((b"", b"\1\0\0\0", b"\2\0\0\0", b"\3\0\0\0", b"\4\0\0\0", b"\4\1\0\0")),
)
def test_anything_may_arrive(rest: bytes, start: bytes) -> None:
    tunnel = Tunnel()
    tunnel.engine.start()
    session = tunnel.answer()
    for datagram in (start + rest, start + rest[:60].ljust(60), start + rest[:88].ljust(88)):
        tunnel.engine.datagram(datagram)
    assert tunnel.delivered == []
    tunnel.engine.datagram(session.seal(ipv4()))
    assert tunnel.delivered == [ipv4()]


@pytest.mark.parametrize(
    "inner",
    [b"\x45", IPV6, b"\x45\0\0\x13" + bytes(28), b"\x45\0\xff\xff" + bytes(28), b"\0" * 32],
    ids=["short", "ipv6", "length below a header", "length beyond the packet", "no version"],
)
def test_what_is_no_ipv4_packet_is_not_delivered(inner: bytes) -> None:
    tunnel = Tunnel()
    tunnel.engine.datagram(tunnel.connect().seal(inner))
    assert tunnel.delivered == []


@pytest.mark.parametrize("packet", [b"", b"\x45" * 19, IPV6], ids=["empty", "short", "ipv6"])
def test_what_is_no_ipv4_packet_is_not_sent(packet: bytes) -> None:
    tunnel = Tunnel()
    tunnel.connect()
    tunnel.sent.clear()
    tunnel.engine.packet(packet)
    assert tunnel.sent == []


def test_a_counter_at_the_end_of_its_range_is_refused() -> None:
    tunnel = Tunnel()
    session = tunnel.connect()
    tunnel.engine.datagram(session.seal(ipv4(), counter=2**64 - 2**13 - 1))
    assert tunnel.delivered == []
    tunnel.engine.datagram(session.seal(ipv4(), counter=2**64 - 2**13 - 2))
    assert tunnel.delivered == [ipv4()]


@given(
    st.lists(
        st.one_of(st.integers(0, 40), st.integers(0, 3 * WINDOW), st.integers(0, 2**63)),
        max_size=60,
    )
)
def test_the_window_is_a_set_with_an_end(counters: list[int]) -> None:
    window, seen, newest = ReplayWindow(), set[int](), -1
    for counter in counters:
        newest_then = max(newest, counter)
        fresh = counter not in seen and counter > newest_then - WINDOW
        assert window.accept(counter) == fresh
        seen.add(counter)
        newest = newest_then


def test_the_window_ends_where_it_ends() -> None:
    window = ReplayWindow()
    assert window.accept(WINDOW + 1)
    assert window.accept(2)
    assert not window.accept(1)
    assert window.accept(WINDOW + 3)
    assert not window.accept(3)
    assert window.accept(4)


def test_the_window_stays_small() -> None:
    window = ReplayWindow()
    for counter in range(0, 20 * WINDOW, 3):
        assert window.accept(counter)
    assert len(window._missing) <= WINDOW + 2
