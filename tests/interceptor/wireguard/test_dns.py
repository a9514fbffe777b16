"""Name lookups of captured commands."""

from __future__ import annotations

import pytest
from mitmproxy.net.dns import response_codes, types

from tests.interceptor.wireguard.world import ADDRESSES, World


def test_a_name_that_a_setting_maps(world: World) -> None:
    assert world.run.address("GOOD.test") == ADDRESSES["good.test"]
    record = world.record(method="DNS")
    assert (record.host, record.path, record.source, record.state) == (
        "good.test",
        "A",
        "wireguard",
        "done",
    )
    assert record.route == "answered 192.0.2.10"
    assert (record.run_label, record.sides) == ("test", ())


def test_localhost_is_looked_up_by_this_machine(world: World) -> None:
    assert world.run.address("localhost") == "127.0.0.1"


def test_an_unknown_name_is_refused_at_once(world: World) -> None:
    code = world.run.lookup("nowhere.invalid").response_code
    assert code in (response_codes.NXDOMAIN, response_codes.SERVFAIL)
    assert world.record(method="DNS", host="nowhere.invalid").finished_at is not None


@pytest.mark.parametrize("name", ["good.test", "nowhere.invalid"])
@pytest.mark.parametrize("kind", [types.AAAA, types.HTTPS, types.SVCB])
def test_what_would_lead_around_the_tunnel_is_empty(world: World, name: str, kind: int) -> None:
    answer = world.run.lookup(name, kind)
    assert (answer.response_code, answer.answers) == (response_codes.NOERROR, [])


def test_ipv6_lookups_make_no_rows(world: World) -> None:
    world.run.lookup("good.test", types.AAAA)
    world.run.lookup("good.test")
    assert [record.path for record in world.records(method="DNS")] == ["A"]


def test_no_answer_within_four_seconds_is_a_failure(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from mitmproxy.addons.dns_resolver import DnsResolver

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(DnsResolver, "resolve", never)
    monkeypatch.setattr("interceptor.addons.capture.dns.LOOKUP_TIMEOUT_S", 0.05)
    assert world.run.lookup("slow.invalid").response_code == response_codes.SERVFAIL
    assert world.record(method="DNS", host="slow.invalid").state == "error"


def test_junk_is_survived(world: World) -> None:
    with world.run.made("u") as udp:
        udp.connect(("10.0.0.53", 53))
        for junk in (b"\x00", b"\xff" * 40, bytes(12)):
            udp.send(junk)
    assert world.run.address("good.test") == ADDRESSES["good.test"]
