"""What happens when: rekeying, keep-alives, retries, forgetting. The clock is the test's."""

from __future__ import annotations

import struct

from jail.wireguard.session import REKEY_AFTER_MESSAGES
from tests.jail.wireguard.tunnel import Tunnel, ipv4


def kinds(tunnel: Tunnel) -> list[int]:
    """The types of the datagrams that were sent, which are then forgotten."""
    found = [datagram[0] for datagram in tunnel.sent]
    tunnel.sent.clear()
    return found


def connected() -> Tunnel:
    tunnel = Tunnel()
    tunnel.connect()
    tunnel.sent.clear()
    return tunnel


def test_keys_are_renewed_by_the_first_packet_after_two_minutes() -> None:
    tunnel = connected()
    tunnel.engine.now += 119
    tunnel.engine.packet(ipv4())
    assert kinds(tunnel) == [4]
    tunnel.engine.now += 1
    tunnel.engine.packet(ipv4())
    tunnel.engine.packet(ipv4())
    assert kinds(tunnel) == [4, 1, 4]


def test_packets_under_the_old_keys_still_arrive_after_the_new_ones() -> None:
    tunnel = Tunnel()
    old = tunnel.connect()
    tunnel.sent.clear()
    tunnel.engine.now += 120
    tunnel.engine.packet(ipv4())
    assert old.open(tunnel.take())[1][:27] == ipv4()
    new = tunnel.answer()
    tunnel.engine.datagram(old.seal(ipv4(b"late")))
    tunnel.engine.datagram(new.seal(ipv4(b"new")))
    assert [packet[20:] for packet in tunnel.delivered] == [b"late", b"new"]
    tunnel.engine.now += 59
    tunnel.engine.datagram(old.seal(ipv4(b"very late")))
    assert len(tunnel.delivered) == 3
    assert 1 not in kinds(tunnel), "the keys in use are young"
    tunnel.engine.now += 1
    tunnel.engine.datagram(old.seal(ipv4(b"too late")))
    assert len(tunnel.delivered) == 3


def test_a_response_is_a_sign_of_life() -> None:
    tunnel = connected()
    tunnel.engine.now += 120
    tunnel.engine.packet(ipv4())
    tunnel.engine.packet(ipv4())
    message, session = tunnel.responder.answer(next(sent for sent in tunnel.sent if sent[0] == 1))
    assert session is not None
    tunnel.engine.datagram(message)
    tunnel.wait(20)
    assert kinds(tunnel) == [4, 1, 4, 4]


def test_keys_are_renewed_by_count() -> None:
    tunnel = connected()
    assert tunnel.engine._current is not None
    tunnel.engine._current.sent = REKEY_AFTER_MESSAGES - 1
    tunnel.engine.packet(ipv4())
    assert kinds(tunnel) == [4, 1]


def test_keys_are_renewed_by_what_is_received_before_they_expire() -> None:
    tunnel = Tunnel()
    session = tunnel.connect()
    tunnel.sent.clear()
    tunnel.engine.now += 164
    tunnel.engine.datagram(session.seal(ipv4()))
    assert kinds(tunnel) == []
    tunnel.engine.now += 1
    tunnel.engine.datagram(session.seal(ipv4()))
    assert kinds(tunnel) == [1]


def test_keys_of_three_minutes_carry_nothing() -> None:
    tunnel = Tunnel()
    session = tunnel.connect()
    tunnel.sent.clear()
    tunnel.engine.now += 180
    assert not tunnel.engine.is_up
    tunnel.engine.datagram(session.seal(ipv4()))
    assert tunnel.delivered == []
    tunnel.engine.packet(ipv4(b"waits"))
    assert tunnel.sent[0][0] == 1
    session = tunnel.answer()
    assert session.open(tunnel.take())[1][20:25] == b"waits"


def test_keys_are_forgotten_after_nine_minutes() -> None:
    tunnel = connected()
    tunnel.wait(539)
    assert tunnel.engine._current is not None
    tunnel.wait(1)
    assert tunnel.engine._current is None
    assert tunnel.engine.due_at() is None


def test_a_handshake_is_tried_again_for_ninety_seconds() -> None:
    tunnel = Tunnel()
    tunnel.engine.packet(ipv4())
    tunnel.wait(300)
    assert 17 <= len(tunnel.sent) <= 19
    assert len({datagram[4:8] for datagram in tunnel.sent}) == len(tunnel.sent), (
        "each attempt has its own index"
    )
    assert tunnel.engine.due_at() is None
    tunnel.sent.clear()
    tunnel.engine.packet(ipv4(b"new"))
    session = tunnel.answer()
    assert [session.open(datagram)[1][20:23] for datagram in tunnel.sent] == [b"new"]


def test_what_is_received_is_confirmed_within_ten_seconds() -> None:
    tunnel = Tunnel()
    session = tunnel.connect()
    tunnel.sent.clear()
    tunnel.engine.datagram(session.seal(ipv4()))
    tunnel.wait(9.9)
    assert tunnel.sent == []
    tunnel.wait(0.2)
    assert session.open(tunnel.take())[1] == b""
    tunnel.engine.datagram(session.seal(b""))
    tunnel.wait(60)
    assert tunnel.sent == [], "a keep-alive is not confirmed"


def test_a_packet_is_as_good_as_a_keepalive() -> None:
    tunnel = Tunnel()
    session = tunnel.connect()
    tunnel.sent.clear()
    tunnel.engine.datagram(session.seal(ipv4()))
    tunnel.wait(5)
    tunnel.engine.packet(ipv4())
    tunnel.wait(6)
    assert kinds(tunnel) == [4]


def test_fifteen_seconds_of_silence_bring_a_handshake() -> None:
    tunnel = connected()
    tunnel.engine.packet(ipv4())
    tunnel.wait(14.9)
    assert kinds(tunnel) == [4]
    tunnel.wait(0.2)
    assert kinds(tunnel) == [1]


def test_an_answer_ends_the_silence() -> None:
    tunnel = Tunnel()
    session = tunnel.connect()
    tunnel.sent.clear()
    tunnel.engine.packet(ipv4())
    tunnel.wait(14)
    tunnel.engine.datagram(session.seal(b""))
    tunnel.wait(100)
    assert kinds(tunnel) == [4]


def test_an_initiation_of_the_server_is_ignored() -> None:
    tunnel = connected()
    tunnel.engine.datagram(struct.pack("<II", 1, 5) + bytes(140))
    assert tunnel.sent == []
    assert tunnel.engine.is_up


def test_every_attempt_is_logged_before_it_is_sent() -> None:
    tunnel = Tunnel()
    tunnel.engine.start()
    assert len(tunnel.handshakes) == len(tunnel.sent) == 1
    tunnel.wait(6)
    assert [handshake.message for handshake in tunnel.handshakes] == [
        sent[:116] for sent in tunnel.sent
    ]
