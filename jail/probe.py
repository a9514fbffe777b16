"""Probe that `jail --doctor` runs inside a jail. Prints one JSON object.

Standard library only, by `python -I -S`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import ssl
import struct
import sys
from typing import Any

CONNECT_TIMEOUT_S = 3.0
_TAP = "tap0"
# <bits/ioctls.h> and <net/if.h>
_SIOCGIFFLAGS, _IFF_UP = 0x8913, 1


def probe(proxy_port: int) -> dict[str, Any]:
    """Test the network as the command sees it. No internet is needed."""
    return {
        "default_route": _default_route(),
        "resolv_conf": _text("/etc/resolv.conf"),
        "dns_ok": _answers_dns(),
        "proxy_ok": _connects("127.0.0.1", proxy_port),
        "trust_ok": _trusts(),
        "outside_closed": not (_has_tap() and _connects("10.0.2.2", proxy_port)),
        "ipv6_closed": not _connects("2606:4700:4700::1111", 443),
        "capabilities": _capabilities(),
        "filter_ok": _is_filtered(),
        "uid": os.getuid(),
    }


def _connects(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False


def _has_tap() -> bool:
    """Return whether tap0 is there and up.

    Otherwise, as with the Python client, 10.0.2.2 is an address like any other and leads into the
    tunnel.
    """
    request = struct.pack("16sH22x", _TAP.encode(), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking, _SIOCGIFFLAGS, request)
        except OSError:
            return False
    return bool(struct.unpack_from("16xH", answer)[0] & _IFF_UP)


def _answers_dns() -> bool:
    """Return whether the name server responds at all; “no such name” is a response."""
    question = (
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
        + b"\x07invalid\x00"
        + b"\x00\x01\x00\x01"
    )
    servers = [
        line.split()[1]
        for line in _text("/etc/resolv.conf").splitlines()
        if line.startswith("nameserver")
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(CONNECT_TIMEOUT_S * 2)
        try:
            asking.sendto(question, (servers[0], 53))
            return asking.recv(512)[:2] == question[:2]
        except (OSError, IndexError):
            return False


def _trusts() -> bool:
    """Return whether the file in the clients' variables holds certificates."""
    try:
        context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    except (OSError, KeyError):
        return False
    return bool(context.get_ca_certs())


def _default_route() -> str:
    for line in _text("/proc/net/route").splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000":
            return fields[0]
    return ""


def _capabilities() -> str:
    lines = [
        line
        for line in _text("/proc/self/status").splitlines()
        if line.startswith(("CapEff", "CapBnd"))
    ]
    return "none" if all(int(line.split()[1], 16) == 0 for line in lines) else "some"


def _is_filtered() -> bool:
    """Return whether system calls are filtered: an AF_VSOCK socket is refused as unknown."""
    if "Seccomp:\t2" not in _text("/proc/self/status"):
        return False
    try:
        socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    except OSError as error:
        return error.errno == errno.EAFNOSUPPORT
    return False


def _text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


if __name__ == "__main__":
    print(json.dumps(probe(int(sys.argv[1]))))
