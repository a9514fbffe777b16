"""Wireshark's own program reads what a jailed command sent, in both ways that docs/jail.md
describes.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from jail.network.pcap import Capture
from tests.environment import need
from tests.jail.world import HOST, World
from tests.patience import PATIENCE_S

SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
JAILS_IN_A_ROW = 12


def dissected(capture: Path, *keylogs: str) -> list[str]:
    """The paths of the HTTP requests that tshark finds, of HTTP/1 and HTTP/2."""
    preferences = [word for keylog in keylogs for word in ("-o", keylog)]
    fields = ["-T", "fields", "-e", "http.request.uri", "-e", "http2.headers.path"]
    done = subprocess.run(
        [
            "tshark",
            "-r",
            str(capture),
            *preferences,
            "-Y",
            "http.request or http2.headers.path",
            *fields,
        ],
        env={**os.environ, "HOME": str(capture.parent)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def asked(world: World, kind: str, *options: str) -> str:
    """Run curl in a jail; it must get its answer.

    Returns the path it asked for, which nobody else asks for.
    """
    path = f"/v1/models?only-the-client-knows={uuid4().hex}"
    words = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"https://{HOST}{path}")
    done = world.run(*words, options=("--wireguard", kind, *options))
    assert (done.returncode, done.stdout) == (0, "200"), done.stderr
    return path


def loopback(path: Path) -> Capture:
    """A capture of this machine's loopback, each packet once."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    packets.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    packets.bind(("lo", 3))
    return Capture.start(packets, path)


def keylogs(world: World) -> tuple[str, str]:
    """Wireshark's preferences for the two key logs."""
    folder = world.interceptor.config_dir
    return f"wg.keylog_file:{folder / 'wg.keylog'}", f"tls.keylog_file:{folder / 'tls.keylog'}"


def test_a_loopback_capture_and_both_key_logs(world: World, tmp_path: Path) -> None:
    need("tshark", shutil.which("tshark") is not None)
    need("root, who may capture packets", os.geteuid() == 0)
    capture = loopback(tmp_path / "lo.pcap")
    path = asked(world, "python")
    assert capture.stop() is None
    wg, tls = keylogs(world)
    # The request passes twice: through the tunnel, and from the proxy to the provider's stand-in.
    assert dissected(tmp_path / "lo.pcap", wg, tls).count(path) == 2
    assert dissected(tmp_path / "lo.pcap", tls).count(path) == 1
    assert path not in dissected(tmp_path / "lo.pcap", wg)


@pytest.mark.parametrize("kind", ["wireguard-go", "python"])
def test_a_capture_of_the_tunnel_and_the_tls_key_log(
    world: World, tmp_path: Path, kind: str
) -> None:
    need("tshark", shutil.which("tshark") is not None)
    capture = world.folder / f"{kind}.pcap"
    path = asked(world, kind, "--pcap", str(capture))
    assert dissected(capture, keylogs(world)[1]) == [path]
    assert dissected(capture) == []
    assert capture.stat().st_mode & 0o777 == 0o600


def test_key_logs_are_for_their_owner_alone(world: World) -> None:
    asked(world, "python")
    for name in ("wg.keylog", "tls.keylog"):
        assert (world.interceptor.config_dir / name).stat().st_mode & 0o777 == 0o600


def test_every_jail_of_a_row_shakes_hands_once(world: World) -> None:
    """A server of mitmproxy answers the eleventh handshake of its life with a cookie, which costs
    five seconds.
    """
    log = world.interceptor.config_dir / "wg.keylog"
    log.unlink(missing_ok=True)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: asked(world, "python"), range(JAILS_IN_A_ROW)))
    assert log.read_text().count("LOCAL_EPHEMERAL_PRIVATE_KEY") == JAILS_IN_A_ROW


def test_nothing_is_logged_unless_asked_for(world: World) -> None:
    log = world.interceptor.config_dir / "wg.keylog"
    log.unlink(missing_ok=True)
    done = world.run(
        "true", options=("--wireguard", "python"), environ={"CCPROXY_INSPECTOR__KEYLOG": "false"}
    )
    assert done.returncode == 0, done.stderr
    assert not log.exists()
