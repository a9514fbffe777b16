"""Ports of every listener are looked at before a start."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from ccproxy_site.process.start_checks import check_ports
from interceptor.config.files.server import ServerSettings
from providers.base.errors import ConfigError
from tests.ports import free_port


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def with_ports(**ports: int) -> ServerSettings:
    """Settings with free ports, but for those that are named."""
    chosen = {name: free_port() for name in ("proxy", "forward", "console", "mcp")} | ports
    return ServerSettings.model_validate(
        {
            "port": chosen["proxy"],
            "inspector": {"port": chosen["console"], "forward_port": chosen["forward"]},
            "mcp": {"http": {"port": chosen["mcp"]}},
        }
    )


@pytest.mark.parametrize(
    ("listener", "name", "setting"),
    [
        ("proxy", "proxy", "CCPROXY_PORT"),
        ("forward", "forward proxy", "CCPROXY_INSPECTOR__FORWARD_PORT"),
        ("console", "console", "CCPROXY_INSPECTOR__PORT"),
        ("mcp", "MCP", "CCPROXY_MCP__HTTP__PORT"),
    ],
)
def test_a_taken_port_is_named(taken_port: int, listener: str, name: str, setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_ports(with_ports(**{listener: taken_port}), console=True)
    message = str(caught.value)
    assert message.startswith(f"port {taken_port} for the {name} is taken")
    assert f"(pid {os.getpid()})" in message
    assert setting in message


def test_without_a_console_its_ports_may_be_taken(taken_port: int) -> None:
    check_ports(with_ports(console=taken_port, mcp=taken_port), console=False)
