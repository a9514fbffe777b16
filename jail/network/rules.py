"""Packet filter of a jail, as text for iptables-restore. Pure.

Only wg0 leads out of the jail, with TCP and DNS. UDP is refused, because the proxy cannot read it;
clients of HTTP/3 fall back to TCP. On tap0 only the tunnel's own packets pass, by their mark, and
connections to ports of the host's loopback that were allowed by name.
"""

from __future__ import annotations

from collections.abc import Mapping

from jail.stages.tunnel import ENDPOINT, LINK, MARK

RuleSet = list[tuple[str, str]]
"""Name of a restore tool, and what to feed it."""
RESTORE, RESTORE_6 = "iptables-restore", "ip6tables-restore"
HOST_CHAIN = "HOSTLO"
_DNS_PORT = 53


def filter_rules(*, tunnel_port: int, dns: str) -> str:
    """Return the IPv4 rules: filter and address translation."""
    lines = [
        "*filter",
        ":INPUT ACCEPT [0:0]",
        ":FORWARD DROP [0:0]",
        ":OUTPUT DROP [0:0]",
        "-A OUTPUT -o lo -j ACCEPT",
        f"-A OUTPUT -o {LINK} -p tcp -j ACCEPT",
        f"-A OUTPUT -o {LINK} -p udp -d {dns} --dport {_DNS_PORT} -j ACCEPT",
        (
            f"-A OUTPUT -o tap0 -d {ENDPOINT} -p udp --dport {tunnel_port} -m mark --mark {MARK:#x}"
            " -j ACCEPT"
        ),
        f"-A OUTPUT -o tap0 -d {ENDPOINT} -p tcp -m conntrack --ctstate DNAT -j ACCEPT",
        "-A OUTPUT -p tcp -j REJECT --reject-with tcp-reset",
        "-A OUTPUT -j REJECT",
        "COMMIT",
        "*nat",
        f":{HOST_CHAIN} - [0:0]",
        # Whatever name server a program asks, the interceptor answers; also where it was written
        # into the program.
        *(
            f"-A OUTPUT -p {protocol} --dport {_DNS_PORT} -j DNAT --to-destination"
            f" {dns}:{_DNS_PORT}"
            for protocol in ("udp", "tcp")
        ),
        f"-A OUTPUT -d 127.0.0.0/8 -p tcp -j {HOST_CHAIN}",
        "-A POSTROUTING -s 127.0.0.0/8 ! -o lo -j MASQUERADE",
        "COMMIT",
    ]
    return "\n".join([*lines, ""])


def filter_rules_6() -> str:
    """Return the IPv6 rules: loopback alone."""
    lines = [
        "*filter",
        ":OUTPUT DROP [0:0]",
        "-A OUTPUT -o lo -j ACCEPT",
        "-A OUTPUT -j REJECT",
        "COMMIT",
        "",
    ]
    return "\n".join(lines)


def host_ports(ports: Mapping[int, int]) -> str:
    """Return rules that map ports of the jail's loopback to ports of the host's."""
    lines = ["*nat", f":{HOST_CHAIN} - [0:0]"]
    lines += [
        f"-A {HOST_CHAIN} -p tcp --dport {inside} -j DNAT --to-destination {ENDPOINT}:{outside}"
        for inside, outside in sorted(ports.items())
    ]
    return "\n".join([*lines, "COMMIT", ""])
