"""`allow_hosts`: captured connections to all other hosts pass unread."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from tests.interceptor.wireguard.test_transparent import request
from tests.interceptor.wireguard.tunnel import need_tunnel
from tests.interceptor.wireguard.world import ADDRESSES, World, running_world, talk


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need_tunnel()
    folder = tmp_path_factory.mktemp("allowed")
    with running_world(folder, allow_hosts=[r"^good\.test:443$"]) as world:
        yield world


def test_an_allowed_host_is_read(world: World) -> None:
    with world.run.tls(world.run.address("good.test"), "good.test") as connection:
        assert b"200 OK" in talk(connection, request("good.test"))
    assert world.record(method="POST").host == "good.test"


def test_another_host_passes_unread(world: World) -> None:
    """The client trusts the server's own authority alone, and it works."""
    context = ssl.create_default_context(cafile=world.authority_file)
    world.run.address("pinned.test")
    raw = world.run.tcp(ADDRESSES["pinned.test"], 443)
    with context.wrap_socket(raw, server_hostname="pinned.test") as connection:
        talk(connection, request("pinned.test"))
    record = world.record(method="TCP")
    assert (record.host, record.action) == ("pinned.test", "passthrough")
