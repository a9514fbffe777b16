"""Who listens on a port: from the real /proc, and from one that says what a machine may say."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from interceptor.operate.port_owner import port_owner
from interceptor.operate.ports import check_port_free
from providers.base.errors import ConfigError

SERVER = (
    "import socket, sys; s = socket.create_server((sys.argv[1], 0));"
    " print(s.getsockname()[1], flush=True); sys.stdin.read()"
)
LINE = "   0: 0100007F:0FA0 00000000:0000 {state} 0:0 00:0 0  {uid}        0 46113 1 0 100 0\n"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_it_names_pid_and_command(address: str) -> None:
    command = [sys.executable, "-c", SERVER, address]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with pytest.raises(ConfigError) as caught:
            check_port_free("proxy", "127.0.0.1", port, "port (CCPROXY_PORT)")
        assert process.stdin is not None
        process.stdin.close()
    message = str(caught.value)
    assert message.startswith(
        f"port {port} for the proxy is taken by {Path(sys.executable).name} -c"
    )
    assert message.endswith(f"(pid {process.pid}); stop it or set port (CCPROXY_PORT)")


def test_a_free_port_is_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    check_port_free("proxy", "127.0.0.1", port, "port")


def fake_proc(folder: Path, *, uid: int, state: str = "0A", command: bytes = b"") -> Path:
    """A /proc where a process 77 has the socket open, if it has a command."""
    (folder / "net").mkdir()
    (folder / "net" / "tcp").write_text("  sl  local_address\n" + LINE.format(state=state, uid=uid))
    (folder / "77" / "fd").mkdir(parents=True)
    if command:
        (folder / "77" / "fd" / "3").symlink_to("socket:[46113]")
        (folder / "77" / "cmdline").write_bytes(command)
    return folder


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (b"ollama\0serve\0", "ollama serve"),
        (b"server\0--api-key\0abc\0", "server …"),
        (b"server\0--password=abc\0-v\0", "server …"),
        (b"x" * 100, "x" * 80 + " …"),
        (
            b"/home/ada/" + b"long/" * 20 + b"bin/python\0-m\0ccproxy_site.x\0",
            "python -m ccproxy_site.x",
        ),
        (b"a\0\x1b[2J\0", "a [2J"),
    ],
)
def test_a_command_is_shown_without_credentials(tmp_path: Path, command: bytes, shown: str) -> None:
    proc = fake_proc(tmp_path, uid=os.geteuid(), command=command)
    assert port_owner(4000, proc).removesuffix(" (pid 77)").replace("  ", " ") == shown


def test_another_user_s_program_is_said_to_be_hidden(tmp_path: Path) -> None:
    owner = port_owner(4000, fake_proc(tmp_path, uid=os.geteuid() + 1))
    assert owner.startswith("a program of the user ")
    assert "only they and root see" in owner


def test_one_s_own_program_elsewhere_is_said_to_be_hidden(tmp_path: Path) -> None:
    assert "cannot be seen from here" in port_owner(4000, fake_proc(tmp_path, uid=os.geteuid()))


def test_a_connection_is_no_listener(tmp_path: Path) -> None:
    proc = fake_proc(tmp_path, uid=os.geteuid(), state="01", command=b"client\0")
    assert port_owner(4000, proc) == "another program"


def test_without_proc(tmp_path: Path) -> None:
    assert port_owner(4000, tmp_path / "none") == "another program"
