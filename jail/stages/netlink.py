"""Links, addresses and routes by rtnetlink(7): no `ip` tool needed, and 1 ms instead of 10."""

from __future__ import annotations

import os
import socket
import struct

# Constants of <linux/rtnetlink.h>, <linux/netlink.h>, <linux/if_link.h>, <linux/fib_rules.h>.
_RTM_NEWLINK, _RTM_NEWADDR, _RTM_NEWROUTE, _RTM_NEWRULE = 16, 20, 24, 32
_NLM_F_REQUEST, _NLM_F_ACK = 0x1, 0x4
_NLM_F_REPLACE, _NLM_F_EXCL, _NLM_F_CREATE = 0x100, 0x200, 0x400
_NLMSG_ERROR = 2
_IFF_UP = 1
_IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO, _IFLA_INFO_KIND = 3, 4, 18, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_OIF, _RTA_METRICS, _RTAX_QUICKACK = 4, 8, 15
_RT_TABLE_MAIN, _RTPROT_STATIC, _RT_SCOPE_LINK, _RTN_UNICAST = 254, 4, 253, 1
_FRA_DST, _FRA_PRIORITY, _FRA_IP_PROTO, _FRA_DPORT_RANGE = 1, 6, 22, 24
_FR_ACT_TO_TBL, _FR_ACT_UNREACHABLE = 1, 7
_HEADER = struct.Struct("=IHHII")
_RTMSG = struct.Struct("=BBBBBBBBI")


def add_link(name: str, kind: str) -> None:
    """Make a network interface.

    Raises:
        OSError: EOPNOTSUPP where the kernel has no such kind.
    """
    info = _attribute(_IFLA_INFO_KIND, kind.encode() + b"\0")
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0) + _attribute(
        _IFLA_IFNAME, name.encode() + b"\0"
    )
    _ask(_RTM_NEWLINK, _NLM_F_CREATE | _NLM_F_EXCL, body + _attribute(_IFLA_LINKINFO, info))


def set_up(name: str, *, mtu: int | None = None) -> None:
    """Switch an interface on."""
    body = struct.pack(
        "=BxHiII", socket.AF_UNSPEC, 0, socket.if_nametoindex(name), _IFF_UP, _IFF_UP
    )
    if mtu is not None:
        body += _attribute(_IFLA_MTU, struct.pack("=I", mtu))
    _ask(_RTM_NEWLINK, 0, body)


def add_address(name: str, address: str, prefix: int) -> None:
    """Give an interface an IPv4 address."""
    packed = socket.inet_aton(address)
    body = struct.pack("=BBBBI", socket.AF_INET, prefix, 0, 0, socket.if_nametoindex(name))
    body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
    _ask(_RTM_NEWADDR, _NLM_F_CREATE | _NLM_F_EXCL, body)


def default_route(name: str) -> None:
    """Route everything without a nearer route to an interface.

    Its connections acknowledge at once: mitmproxy's TCP stack waits for that (Nagle), and a delayed
    one costs 40 ms.
    """
    # struct rtmsg: family, prefixes of destination and source, TOS, table, origin, scope, type.
    kinds = _RT_TABLE_MAIN, _RTPROT_STATIC, _RT_SCOPE_LINK, _RTN_UNICAST
    body = _RTMSG.pack(socket.AF_INET, 0, 0, 0, *kinds, 0)
    body += _attribute(_RTA_OIF, struct.pack("=I", socket.if_nametoindex(name)))
    quickack = _attribute(_RTAX_QUICKACK, struct.pack("=I", 1))
    body += _attribute(_RTA_METRICS, quickack)
    _ask(_RTM_NEWROUTE, _NLM_F_CREATE | _NLM_F_REPLACE, body)


def udp_only_to(address: str, port: int) -> None:
    """Route UDP to one port of one host only. The loopback is not affected."""
    # Rules are tried by priority: 0 is the table of local addresses, 32766 the main table.
    udp = _attribute(_FRA_IP_PROTO, bytes([socket.IPPROTO_UDP]))
    host = _attribute(_FRA_DST, socket.inet_aton(address))
    ports = _attribute(_FRA_DPORT_RANGE, struct.pack("=HH", port, port))
    _add_rule(100, 32, _RT_TABLE_MAIN, _FR_ACT_TO_TBL, udp + host + ports)
    _add_rule(101, 0, 0, _FR_ACT_UNREACHABLE, udp)


def _add_rule(priority: int, prefix: int, table: int, action: int, match: bytes) -> None:
    # struct fib_rule_hdr has the shape of rtmsg, with the action where the route's type is.
    body = _RTMSG.pack(socket.AF_INET, prefix, 0, 0, table, 0, 0, action, 0)
    body += _attribute(_FRA_PRIORITY, struct.pack("=I", priority)) + match
    _ask(_RTM_NEWRULE, _NLM_F_CREATE | _NLM_F_EXCL, body)


def _attribute(kind: int, value: bytes) -> bytes:
    # Attributes are aligned to four bytes; the length excludes the padding.
    padding = b"\0" * (-len(value) % 4)
    return struct.pack("=HH", len(value) + 4, kind) + value + padding


def _ask(kind: int, flags: int, body: bytes) -> None:
    """Send one request and wait for the kernel's acknowledgement."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.bind((0, 0))
        flags |= _NLM_F_REQUEST | _NLM_F_ACK
        header = _HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0)
        netlink.send(header + body)
        reply = netlink.recv(65536)
    _, reply_kind, _, _, _ = _HEADER.unpack_from(reply)
    # An acknowledgement is an error message with the code 0; codes are negative.
    code = -struct.unpack_from("=i", reply, _HEADER.size)[0]
    if reply_kind == _NLMSG_ERROR and code:
        raise OSError(code, f"netlink request {kind}: {os.strerror(code)}")
