"""The capture file.

A pair of sockets stands for the packet socket; tests with a real jail read it with tshark.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from jail.network.pcap import Capture
from providers.base.errors import ConfigError


def packet_pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)


def records(path: Path) -> list[bytes]:
    """The packets of a pcap file, whose head and lengths must fit together."""
    data = path.read_bytes()
    magic, major, minor, _, _, longest, linktype = struct.unpack("<IHHiIII", data[:24])
    assert (magic, major, minor, longest, linktype) == (0xA1B2C3D4, 2, 4, 65536, 101)
    found, position = [], 24
    while position < len(data):
        _, microseconds, size, original = struct.unpack("<IIII", data[position : position + 16])
        assert microseconds < 1_000_000
        assert size == original
        found.append(data[position + 16 : position + 16 + size])
        position += 16 + size
    assert position == len(data)
    return found


def test_every_packet_is_written_also_the_last_ones(tmp_path: Path) -> None:
    packets, tunnel = packet_pair()
    capture = Capture.start(packets, tmp_path / "jail.pcap")
    sent = [bytes([number]) * (number * 7 + 1) for number in range(200)]
    for packet in sent:
        tunnel.send(packet)
    assert capture.stop() is None
    tunnel.close()
    assert records(tmp_path / "jail.pcap") == sent
    assert (tmp_path / "jail.pcap").stat().st_mode & 0o777 == 0o600


def test_a_capture_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"x" * 10_000)
    packets, tunnel = packet_pair()
    assert Capture.start(packets, tmp_path / "old").stop() is None
    tunnel.close()
    assert records(tmp_path / "old") == []


def test_a_file_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    packets, tunnel = packet_pair()
    with pytest.raises(ConfigError, match=r"--pcap cannot write .*No such file"):
        Capture.start(packets, tmp_path / "no" / "file")
    tunnel.close()


def test_a_full_disk_is_told_at_the_end() -> None:
    packets, tunnel = packet_pair()
    capture = Capture.start(packets, Path("/dev/full"))
    tunnel.send(b"packet")
    assert capture.stop() == "the capture ends early: No space left on device"
    tunnel.close()
