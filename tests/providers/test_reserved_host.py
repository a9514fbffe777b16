"""No provider and no rule sends requests to a machine's metadata service, however it is spelled."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.reserved_host import reserved_host_problem
from providers.validation import check_host

LINK_LOCAL = st.ip_addresses(network="169.254.0.0/16").map(int)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "169.254.169.254.", "2852039166", "0xA9FEA9FE", "0xa9.254.43518",
        "0251.0376.0251.0376", "[::ffff:169.254.169.254]", "::ffff:a9fe:a9fe", "fe80::1",
        "[fe80::1%eth0]", "2002:a9fe:a9fe::1", "fd00:ec2::254", "100.100.100.200", "192.0.0.192",
        "metadata.google.internal", "Metadata.Google.Internal.", "metadata", "instance-data",
        "0.0.0.0", "::", "0", "224.0.0.1", "ff02::1",
    ],
)  # fmt: skip
def test_it_is_refused(host: str) -> None:
    assert reserved_host_problem(host)
    assert check_host(host)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "::1", "localhost", "192.168.0.1", "10.0.0.1", "api.anthropic.com", "1.example",
     "169.254.example", "metadata.example", "fd00::1"],
)  # fmt: skip
def test_it_is_a_host(host: str) -> None:
    assert reserved_host_problem(host) is None
    assert check_host(host) is None


@given(LINK_LOCAL, st.sampled_from(["d", "x", "dotted", "mapped", "short"]))
def test_no_spelling_gets_through(number: int, spelling: str) -> None:
    dotted = str(ipaddress.IPv4Address(number))
    spelled = {
        "d": str(number),
        "x": hex(number),
        "dotted": dotted,
        "mapped": f"::ffff:{dotted}",
        "short": f"169.{number & 0xFFFFFF}",
    }[spelling]
    assert reserved_host_problem(spelled)
