"""Nothing leaves a jail but through the tunnel, whatever the command tries; the machine's
interfaces are watched.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environment import ROOT, need
from tests.jail import escapes, user
from tests.patience import PATIENCE_S

PROGRAM = Path(escapes.__file__)
ETH_P_ALL = 3


@contextlib.contextmanager
def watched() -> Iterator[list[bytes]]:
    """Every packet of every interface of this machine, loopback included, as it passes."""
    need("root, to capture packets", os.getuid() == 0)
    seen: list[bytes] = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as packets:
        packets.settimeout(0.1)
        stopped = threading.Event()

        def read() -> None:
            while not stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    seen.append(packets.recv(65536))

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield seen
            time.sleep(0.2)
        finally:
            stopped.set()
            thread.join()


def attempt(world, *, nested: bool, options: tuple[str, ...] = ()) -> dict[str, str]:
    """What happened to every attempt, made under the eyes of a running launcher."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as other:
        private = [server.getsockname()[1] for server in (one, other)]
        facts = {
            "tap": "python" not in options,
            "nested": nested,
            "config": str(world.interceptor.config_dir),
            "ports": [*private, world.interceptor.console_port],
            "wireguard": 51820,
        }
        code = f"import os, sys; sys.path.append({str(ROOT)!r})\n"
        code += f"facts = {facts!r}; facts['launcher'] = os.getppid()\n"
        code += "from tests.jail import escapes\n"
        code += "if facts['nested']: sys.stderr.write(escapes.nested())\n"
        code += "escapes.main(facts)"
        done = world.python(code, options=options)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ("made" if nested else "")
    found: dict[str, str] = json.loads(done.stdout)
    return found


SEEN = b"a packet of this test's own, which the capture has to see"


@pytest.mark.parametrize("nested", [False, True], ids=["plain", "in an own user namespace"])
@pytest.mark.parametrize("backend", ["wireguard-go", "python"])
def test_every_way_out_is_closed(world, backend, nested):
    with watched() as packets:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            control.sendto(SEEN, ("127.0.0.1", 9))
        found = attempt(world, nested=nested, options=("--wireguard", backend))
    succeeded = {
        what for what, result in found.items() if result in ("done", "made", "connected", "opened")
    }
    assert not succeeded, found
    assert not [result for result in found.values() if result.startswith("answered")], found
    assert [packet for packet in packets if SEEN in packet], "the capture saw nothing at all"
    assert not [packet for packet in packets if escapes.MARK in packet]
    outside = socket.inet_aton(escapes.OUTSIDE)
    assert not [packet for packet in packets if outside in packet[12:20]], (
        "a packet to the outside passed this machine"
    )


def test_the_capture_would_see_it(world):
    """The same packet sent by the machine itself is seen."""
    with watched() as packets, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(escapes.MARK, ("127.0.0.1", 9))
    assert [packet for packet in packets if escapes.MARK in packet]


def test_the_command_has_no_rights_and_its_own_identity(world):
    done = world.run("grep", "-E", "^(Uid|Cap|NoNewPrivs)", "/proc/self/status")
    lines = dict(line.split(":\t") for line in done.stdout.splitlines())
    uid = user.UID if os.getuid() == 0 else os.getuid()
    assert lines.pop("Uid").split() == [str(uid)] * 4
    assert lines.pop("NoNewPrivs") == "1"
    assert {int(value, 16) for value in lines.values()} == {0}


def test_the_tunnel_lost_means_no_network(world):
    """With the tunnel's process dead nothing falls back to another way."""
    with world.start(
        "sh",
        "-c",
        "echo up; read line; curl -sS -m 3 https://api.anthropic.com/; echo $?",
        stdin=-1,
    ) as jail:
        assert jail.stdout.readline() == "up\n"
        helper = next(pid for pid in Path("/proc").glob("[0-9]*") if _is_tunnel_of(pid, jail.pid))
        os.kill(int(helper.name), 9)
        with watched() as packets:
            out, err = jail.communicate("go\n", timeout=PATIENCE_S)
    assert out.strip() in ("6", "7", "28"), err
    assert not [packet for packet in packets if escapes.MARK in packet]


def _is_tunnel_of(process: Path, launcher: int) -> bool:
    """wireguard-go, whose grandparent is the launcher."""
    with contextlib.suppress(OSError, IndexError):
        if (process / "comm").read_text().strip() == "wireguard-go":
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            return (
                int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
                == launcher
            )
    return False


@pytest.mark.parametrize("backend", ["wireguard-go", "python"])
def test_egress_is_an_allow_list(world, backend):
    words = ("curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}\n")
    urls = ("https://api.anthropic.com/v1/models", "https://elsewhere.example/v1/models")
    before = len(world.upstream.requests)
    shell = "; ".join(
        " ".join([*words, url]).replace("%{http_code}\n", "'%{http_code}\\n'") for url in urls
    )
    done = world.run(
        "sh", "-c", shell, options=("--egress", "api.anthropic.com", "--wireguard", backend)
    )
    codes = done.stdout.split()
    assert codes[0] == "200"
    assert codes[1] != "200"
    assert len(world.upstream.requests) == before + 1


def test_a_name_server_of_ones_own_is_the_interceptors(world):
    """Whoever is asked, the interceptor answers, and the look-up is recorded."""
    code = (
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)\nq ="
        " b'\\x12\\x34\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0\\x03api\\x09anthropic\\x03com\\0\\0\\x01\\0\\x01'\ns.sendto(q,"
        " ('198.51.100.9', 53)); print(socket.inet_ntoa(s.recv(512)[-4:]))"
    )
    done = world.python(code, options=("--label", "own-resolver"))
    assert done.stdout == "192.0.2.10\n", done.stderr
    assert (
        world.interceptor.wait_for_flows(1, "run_label='own-resolver'")[0]["host"]
        == "api.anthropic.com"
    )
