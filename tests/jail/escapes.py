"""Ways out of a jail, tried from inside: prints one JSON object, name to what happened."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import subprocess
from typing import Any

MARK = b"escape-attempt-mark"
OUTSIDE = "198.51.100.7"  # TEST-NET-2
SO_BINDTODEVICE, SO_MARK = 25, 36
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
AF_BLUETOOTH, AF_ALG, AF_VSOCK = 31, 38, 40
# They succeed without rights where nothing filters them.
SYSTEM_CALLS: dict[str, tuple[Any, ...]] = {
    "keys of the session": (250, 0, -5, 0),
    "a key of one's own": (248, b"user", b"ccproxy-escape", b"x", ctypes.c_size_t(1), -5),
    "memory of others": (323, 1),
    "ring of calls": (425, 1, ctypes.create_string_buffer(120)),
}


def connect(host: str, port: int, device: str = "", source: str = "") -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        try:
            if device:
                s.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, device.encode())
            if source:
                s.bind((source, 0))
            s.connect((host, port))
            return "connected"
        except OSError as error:
            return type(error).__name__


def datagram(host: str, port: int, device: str = "", mark: int = 0) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        try:
            if device:
                s.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, device.encode())
            if mark:
                s.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
            s.connect((host, port))
            s.send(MARK)
            return "answered " + repr(s.recv(100))
        except OSError as error:
            return type(error).__name__


def make(family: int, kind: int, protocol: int = 0) -> str:
    try:
        socket.socket(family, kind, protocol).close()
        return "made"
    except OSError as error:
        return type(error).__name__


def command(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, timeout=10, stdin=subprocess.DEVNULL)
        return "done" if done.returncode == 0 else "refused"
    except OSError as error:
        return type(error).__name__


def call(name: str, *arguments: object) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    return "done" if getattr(libc, name)(*arguments) == 0 else os.strerror(ctypes.get_errno())


def system_call(number: int, *arguments: object) -> str:
    """A call by its number on x86-64, which needs no function of the C library."""
    if os.uname().machine != "x86_64":
        return "not tried"
    libc = ctypes.CDLL(None, use_errno=True)
    return "done" if libc.syscall(number, *arguments) >= 0 else os.strerror(ctypes.get_errno())


def terminal_call(number: int) -> str:
    """An ioctl on a file that is no terminal: without a filter the kernel says just that."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(os.devnull) as file:
        libc.ioctl(file.fileno(), ctypes.c_ulong(number), b"x")
    return "refused" if ctypes.get_errno() == errno.EPERM else "done"


def opened(path: str, flags: int = os.O_RDONLY) -> str:
    try:
        os.close(os.open(path, flags))
        return "opened"
    except OSError as error:
        return type(error).__name__


def host_namespace(pid: int) -> str:
    try:
        os.setns(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY), 0)
        return "done"
    except OSError as error:
        return type(error).__name__


def main(facts: dict[str, Any]) -> None:
    tap = facts["tap"]
    found = {
        "flush rules": command("iptables", "-F"),
        "flush nft": command("nft", "flush", "ruleset"),
        "route": command("ip", "route", "replace", "default", "via", "10.0.2.2", "dev", "tap0"),
        "address": command("ip", "address", "add", "10.0.2.101/24", "dev", "tap0"),
        "link": command("ip", "link", "del", "wg0"),
        "raw": make(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "packet": make(socket.AF_PACKET, socket.SOCK_RAW),
        "ipv6": connect("2606:4700:4700::1111", 443),
        "ipv6 datagram": datagram("2606:4700:4700::1111", 53),
        "quic": datagram(OUTSIDE, 443),
        "other udp": datagram(OUTSIDE, 9999),
        "mark": datagram(OUTSIDE, 9999, mark=0xCC),
        "umount": call("umount2", b"/etc/resolv.conf", 0),
        "umount config": call("umount2", facts["config"].encode(), 2),
        "host namespace": host_namespace(facts["launcher"]),
        "lease socket": opened(facts["config"] + "/run"),
        "secrets": opened(facts["config"] + "/secret.key"),
        "authority": opened(facts["config"] + "/mitmproxy-ca.pem"),
        "launcher's view": opened(f"/proc/{facts['launcher']}/root{facts['config']}/secret.key"),
        "memory": opened(f"/proc/{facts['launcher']}/mem", os.O_RDWR),
        "type into the terminal": terminal_call(TIOCSTI),
        "type, with a longer number": terminal_call(TIOCSTI | 1 << 32),
        "paste into the console": terminal_call(TIOCLINUX),
        "virtual machine socket": make(AF_VSOCK, socket.SOCK_STREAM),
        "kernel crypto socket": make(AF_ALG, socket.SOCK_SEQPACKET),
        "bluetooth socket": make(AF_BLUETOOTH, socket.SOCK_SEQPACKET),
        **{name: system_call(*call) for name, call in SYSTEM_CALLS.items()},
        "tun": command("ip", "tuntap", "add", "dev", "tap9", "mode", "tap"),
    }
    if tap:
        found |= {
            "tap name server": datagram("10.0.2.3", 53),
            "tap tcp": connect(OUTSIDE, 443, device="tap0"),
            "tap dns": datagram(OUTSIDE, 53, device="tap0"),
            "tap udp": datagram(OUTSIDE, 9999, device="tap0"),
            "forged tunnel": datagram("10.0.2.2", facts["wireguard"], device="tap0"),
            **{f"gateway {port}": connect("10.0.2.2", port) for port in facts["ports"]},
            **{
                f"gateway {port} by tap0": connect("10.0.2.2", port, device="tap0")
                for port in facts["ports"]
            },
        }
    found |= {f"loopback {port}": connect("127.0.0.1", port) for port in facts["ports"]}
    print(json.dumps(found))


def nested() -> str:
    """The same again as root of a user namespace of one's own."""
    uid, gid = os.getuid(), os.getgid()
    try:
        os.unshare(os.CLONE_NEWUSER)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"0 {uid} 1"),
            ("gid_map", f"0 {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        return "made"
    except OSError as error:
        return type(error).__name__
