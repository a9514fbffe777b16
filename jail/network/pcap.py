"""Packet capture of a run (`--pcap FILE`): the tunnel in clear, for Wireshark.

A thread of the launcher reads a packet socket that was made inside the namespace, so nothing runs
in the jail and no tool is needed. The file is a classic pcap
(https://www.tcpdump.org/manpages/pcap-savefile.5.html) with raw IP packets.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from pathlib import Path

from providers.base.errors import ConfigError

LINKTYPE_RAW = 101
_MAGIC, _VERSION = 0xA1B2C3D4, (2, 4)
# The kernel may give us several TCP segments as one packet.
_MAX_PACKET_BYTES = 65536
_SOCKET_BUFFER_BYTES = 8 * 1024 * 1024
_WRITE_BYTES = 256 * 1024
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_record = struct.Struct("<IIII").pack


class Capture:
    """Running capture. Packets are on disk whenever the tunnel is quiet."""

    def __init__(self, packets: socket.socket, file: int) -> None:
        self._packets = packets
        self._file = file
        self._pending = bytearray()
        self._problem: str | None = None
        self._wake, self._stopper = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="pcap", daemon=True)

    @classmethod
    def start(cls, packets: socket.socket, path: Path) -> Capture:
        """Write the packets of a packet socket (AF_PACKET, bound to wg0) into a new file.

        `stop` closes the socket.

        Raises:
            ConfigError: the file cannot be written.
        """
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            packets.close()
            raise ConfigError(f"--pcap cannot write {path}: {error.strerror}") from None
        packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER_BYTES)
        packets.setblocking(False)
        capture = cls(packets, file)
        capture._pending += struct.pack(
            "<IHHiIII", _MAGIC, *_VERSION, 0, 0, _MAX_PACKET_BYTES, LINKTYPE_RAW
        )
        capture._thread.start()
        return capture

    def stop(self) -> str | None:
        """Write the remaining packets and close the file.

        Return a sentence if the capture is incomplete.
        """
        self._stopper.close()
        self._thread.join()
        dropped = self._dropped()
        self._packets.close()
        self._wake.close()
        os.close(self._file)
        if self._problem:
            return f"the capture ends early: {self._problem}"
        if dropped:
            return f"the capture lacks {dropped} packets that came too fast"
        return None

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._packets, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        stopped = False
        try:
            self._write()
            while not stopped:
                stopped = any(descriptor == self._wake.fileno() for descriptor, _ in poll.poll())
                self._drain()
                self._write()
        except OSError as error:
            self._problem = error.strerror

    def _drain(self) -> None:
        """Write packets until the socket is empty.

        Raises:
            OSError: the file cannot be written.
        """
        buffer = memoryview(bytearray(_MAX_PACKET_BYTES))
        while True:
            try:
                size_bytes = self._packets.recv_into(buffer)
            except OSError:
                return  # nothing more, or the interface is down
            now_us = time.time_ns() // 1000
            self._pending += _record(
                now_us // 1_000_000, now_us % 1_000_000, size_bytes, size_bytes
            )
            self._pending += buffer[:size_bytes]
            if len(self._pending) > _WRITE_BYTES:
                self._write()

    def _write(self) -> None:
        while self._pending:
            del self._pending[: os.write(self._file, self._pending)]

    def _dropped(self) -> int:
        """Return the kernel's count of packets that did not fit into the socket's buffer."""
        try:
            counts = self._packets.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        except OSError:
            return 0
        return int(struct.unpack("=II", counts)[1])
