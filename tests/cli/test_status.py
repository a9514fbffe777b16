"""`ccproxy status` and its health checks."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from interceptor.config.files.server import ServerSettings
from interceptor.operate.command_settings import CommandSettings, settings_for_commands
from interceptor.operate.liveness import check, is_listening


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--proxy"], 1),
        (["--inspect"], 2),
        (["--proxy", "--inspect"], 3),
        (["--mcp"], 4),
        (["--proxy", "--inspect", "--mcp"], 7),
    ],
)
def test_the_exit_code_is_the_sum_of_what_is_down(bare_ccproxy, flags, code):
    done = bare_ccproxy("status", *flags)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert not bare_ccproxy.directory.exists()


def _settings(values: dict[str, object]) -> CommandSettings:
    return settings_for_commands(ServerSettings.model_validate(values), Path("/nowhere"))


def test_what_is_up_is_not_counted(listener):
    port = listener.getsockname()[1]
    up = _settings({"port": port, "inspector": {"port": port}, "mcp": {"http": {"port": port}}})
    assert check(up, proxy=True, inspect=True, mcp=True) == 0
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        down = up._replace(port=closed.getsockname()[1])
        assert check(down, proxy=True, inspect=True, mcp=True) == 1
        assert check(down, proxy=False, inspect=True, mcp=True) == 0


def test_the_mcp_server_counts_where_it_is_enabled():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        settings = _settings({"mcp": {"http": {"port": port}}})
        assert check(settings, proxy=False, inspect=False, mcp=True) == 4
        assert check(settings, proxy=False, inspect=False, mcp=False) == 0
        off = _settings({"mcp": {"http": {"port": port, "enabled": False}}})
        assert check(off, proxy=False, inspect=False, mcp=True) == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", ""])
def test_a_wildcard_is_asked_at_loopback(listener, host):
    assert is_listening(host, listener.getsockname()[1])


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 300, "."])
def test_a_host_that_is_none_is_down(host):
    assert not is_listening(host, 1)


def test_before_anything_is_set_up(bare_ccproxy):
    done = bare_ccproxy("status")
    assert done.returncode == 0
    assert "built-in defaults" in done.stdout
    assert not (bare_ccproxy.directory / "ccproxy.sqlite3").exists()


def test_as_json(ccproxy, listener):
    port = listener.getsockname()[1]
    ccproxy("init")
    report = json.loads(ccproxy("status", "--json", CCPROXY_PORT=str(port)).stdout)
    assert report["proxy"] is True
    assert report["url"] == f"http://127.0.0.1:{port}"
    assert report["config"] == {"ccproxy.yaml": f"{ccproxy.directory}/ccproxy.yaml"}
    assert report["log"] == f"{ccproxy.directory}/ccproxy.log"
    assert report["python"].startswith("Python 3.")
    assert report["hooks"]["inbound"] == [
        "inject_auth",
        "extract_session_id",
        "extract_pplx_files",
        "pplx_thread_inject",
    ]
    console = ccproxy.ports["console"]
    assert report["inspector"] == {
        "running": False,
        "entry_port": port,
        "inspect_port": console,
        "inspect_url": f"http://127.0.0.1:{console}",
    }
    assert report["mcp"] == {
        "enabled": True,
        "running": False,
        "port": ccproxy.ports["mcp"],
        "url": f"http://127.0.0.1:{ccproxy.ports['mcp']}/mcp",
    }
