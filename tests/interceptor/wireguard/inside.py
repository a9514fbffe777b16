"""Runs in a network namespace of its own, which has a TUN device and nothing else: hands out the
device, then sockets.

Descriptor 3 is the test's: it gets the device's descriptor first, and a fresh socket for every `t`
(TCP) or `u` (UDP). A socket stays in the namespace that it was made in, whoever uses it.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct
import subprocess
from pathlib import Path

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x0001 | 0x1000


def send(channel: socket.socket, descriptor: int) -> None:
    channel.sendmsg(
        [b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
    )


def device() -> int:
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"wg0", IFF_TUN_NO_PI))
    commands = (
        "link set lo up\naddr add 10.0.0.1/32 dev wg0\nlink set wg0 mtu 1420 up\nroute add default"
        " dev wg0\n"
    )
    subprocess.run(["ip", "-batch", "-"], input=commands, text=True, check=True)
    return tun


def main() -> None:
    channel = socket.socket(fileno=3)
    uid, gid = os.getuid(), os.getgid()
    os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    tun = device()
    send(channel, tun)
    os.close(tun)
    while kind := channel.recv(1):
        with socket.socket(
            socket.AF_INET, socket.SOCK_STREAM if kind == b"t" else socket.SOCK_DGRAM
        ) as made:
            send(channel, made.fileno())


main()
