"""The handshake, against a responder written from the paper."""

from __future__ import annotations

import os
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jail.wireguard.cookie import _extended
from jail.wireguard.noise import HandshakeError, initiate, timestamp
from tests.fakes.wireguard import hchacha20
from tests.jail.wireguard.tunnel import Tunnel, flipped, ipv4


def test_both_sides_agree_on_the_keys() -> None:
    tunnel = Tunnel()
    session = tunnel.connect()
    assert tunnel.engine.is_up
    assert session.open(tunnel.take()) == (0, b"")
    tunnel.engine.packet(ipv4(b"up"))
    counter, packet = session.open(tunnel.take())
    assert counter == 1
    assert packet == ipv4(b"up").ljust(32, b"\0")
    tunnel.engine.datagram(session.seal(ipv4(b"down")))
    assert tunnel.delivered == [ipv4(b"down")]


def test_what_was_queued_goes_out_in_order_instead_of_a_keepalive() -> None:
    tunnel = Tunnel()
    packets = [ipv4(bytes([number]) * 40) for number in range(3)]
    for packet in packets:
        tunnel.engine.packet(packet)
    session = tunnel.answer()
    assert [session.open(sent)[1][:60] for sent in tunnel.sent] == packets


def test_the_queue_keeps_the_newest_128_packets() -> None:
    tunnel = Tunnel()
    for number in range(200):
        tunnel.engine.packet(ipv4(struct.pack(">I", number) * 3))
    session = tunnel.answer()
    opened = [session.open(sent)[1] for sent in tunnel.sent]
    assert [packet[20:24] for packet in opened] == [
        struct.pack(">I", number) for number in range(72, 200)
    ]


@given(bit=st.integers(0, 92 * 8 - 1))
def test_a_changed_response_opens_nothing(bit: int) -> None:
    tunnel = Tunnel()
    tunnel.engine.start()
    response, _ = tunnel.responder.answer(tunnel.take())
    tunnel.engine.datagram(flipped(response, bit))
    # Everything before the second MAC is under the first; the second says nothing to one who gave
    # out no cookie.
    assert tunnel.engine.is_up == (bit // 8 >= 76)


def test_a_response_to_an_older_initiation_is_dropped() -> None:
    tunnel = Tunnel()
    tunnel.engine.start()
    old, _ = tunnel.responder.answer(tunnel.take())
    tunnel.wait(6)
    tunnel.engine.datagram(old)
    assert not tunnel.engine.is_up
    tunnel.answer()
    assert tunnel.engine.is_up


def test_a_response_counts_once() -> None:
    tunnel = Tunnel()
    tunnel.engine.start()
    response, session = tunnel.responder.answer(tunnel.take())
    assert session is not None
    tunnel.engine.datagram(response)
    tunnel.engine.packet(ipv4())
    tunnel.engine.datagram(response)
    tunnel.engine.packet(ipv4())
    assert [session.open(sent)[0] for sent in tunnel.sent] == [0, 1, 2]


def test_an_ephemeral_key_that_shares_no_secret_is_refused() -> None:
    tunnel = Tunnel()
    handshake = initiate(tunnel.engine._keys)
    response = struct.pack("<III", 2, 7, handshake.local_index) + bytes(32) + bytes(16 + 32)
    with pytest.raises(HandshakeError, match="no secret"):
        handshake.finish(response)


def test_a_later_initiation_has_a_later_timestamp() -> None:
    tunnel = Tunnel()
    first = tunnel.connect()
    tunnel.sent.clear()
    tunnel.wait(120)
    tunnel.engine.packet(ipv4())
    tunnel.take()
    assert tunnel.answer().stamp > first.stamp


def test_a_timestamp_is_tai64n() -> None:
    # 1970-01-01 00:00:00 UTC is the label 4000000000000000 plus the ten seconds that TAI was ahead.
    assert timestamp(0).hex() == "400000000000000a00000000"
    assert timestamp(1_500_000_001_000_000_007).hex() == "4000000059682f0b00000007"
    assert abs(int.from_bytes(timestamp(time.time_ns())[:8]) - 2**62 - time.time()) < 60


def test_xchacha_keys_are_those_of_the_draft() -> None:
    key, nonce = bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927") + b"restofit"
    expected = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    assert _extended(key, nonce) == (bytes.fromhex(expected), bytes(4) + b"restofit")
    assert hchacha20(key, nonce[:16]).hex() == expected


def test_a_cookie_is_used_at_once_while_packets_wait() -> None:
    tunnel = Tunnel()
    tunnel.responder.under_load = True
    tunnel.engine.start()
    reply, session = tunnel.responder.answer(tunnel.take())
    assert session is None
    tunnel.engine.datagram(reply)
    tunnel.answer()
    assert tunnel.engine.is_up


def test_cookie_replies_make_no_loop() -> None:
    tunnel = Tunnel()
    tunnel.responder.under_load = True
    tunnel.engine.start()
    tunnel.engine.datagram(tunnel.responder.answer(tunnel.take())[0])
    for _ in range(3):  # the server has a new secret each time
        tunnel.responder.cookie = os.urandom(16)
        tunnel.engine.datagram(tunnel.responder.answer(tunnel.sent[-1])[0])
    assert len(tunnel.sent) == 1
    tunnel.wait(6)
    assert len(tunnel.sent) == 2


def test_a_cookie_can_wait_while_the_old_keys_work() -> None:
    tunnel = Tunnel()
    tunnel.connect()
    tunnel.sent.clear()
    tunnel.responder.under_load = True
    tunnel.engine.now += 120
    tunnel.engine.packet(ipv4())
    tunnel.take()
    tunnel.engine.datagram(tunnel.responder.answer(tunnel.take())[0])
    assert not tunnel.sent
    tunnel.wait(6)
    first = tunnel.engine._current
    tunnel.answer()
    assert tunnel.engine._current is not first


def test_a_cookie_is_used_for_two_minutes() -> None:
    tunnel = Tunnel()
    tunnel.responder.under_load = True
    tunnel.engine.start()
    tunnel.engine.datagram(tunnel.responder.answer(tunnel.take())[0])
    tunnel.answer()
    tunnel.sent.clear()
    tunnel.wait(120)
    tunnel.engine.packet(ipv4())
    tunnel.take()
    assert tunnel.take()[132:] == bytes(16)


@given(bit=st.integers(0, 64 * 8 - 1))
def test_a_changed_cookie_reply_is_dropped(bit: int) -> None:
    tunnel = Tunnel()
    tunnel.responder.under_load = True
    tunnel.engine.start()
    tunnel.engine.datagram(flipped(tunnel.responder.answer(tunnel.take())[0], bit))
    tunnel.wait(6)
    assert tunnel.take()[132:] == bytes(16)
