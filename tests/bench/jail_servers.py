"""What the jail is compared with: bare mitmdump as a reverse proxy and as a WireGuard server, same
provider behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mitmproxy_rs import wireguard

from tests.bench.jail_client import HOST
from tests.calls import CCPROXY
from tests.e2e.process import ROOT, Interceptor, running, wait_until
from tests.fakes.certificates import make_authority
from tests.ports import free_port

ADDRESS = "198.51.100.7"
_ADDON = """
from ipaddress import IPv4Address

from mitmproxy.dns import ResourceRecord

def dns_request(flow):
    asked = [ResourceRecord.A("{host}", IPv4Address("{address}"))] if flow.request.questions[0].type == 1 else []
    flow.response = flow.request.succeed(asked)

def server_connect(data):
    data.server.address = ("127.0.0.1", {port})

def responseheaders(flow):
    flow.response.stream = True
"""
_CONFIG = """
inspector:
  dns_overrides: {{{host}: {address}}}
  upstream_overrides: {{{host}: "127.0.0.1:{port}"}}
  mitmproxy: {{ssl_verify_upstream_trusted_ca: {ca}}}
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """A config directory whose lease socket is served, and the environment to start a jail
    there.
    """

    environ: dict[str, str]

    def jailed(self, kind: str, *words: str) -> str:
        """Run a command in a jail; what it printed."""
        command = [*CCPROXY, "jail", "--wireguard", kind, "--", *words]
        environ = {**self.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@dataclass(frozen=True, slots=True)
class Provider:
    """The provider's port, and the certificate that vouches for it."""

    port: int
    ca: Path


@contextlib.contextmanager
def provider(folder: Path) -> Iterator[Provider]:
    """The provider in a process of its own."""
    authority = make_authority(folder, HOST)
    command = [sys.executable, "-m", "tests.bench.jail_provider", str(authority.chain_file)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield Provider(int(process.stdout.readline()), authority.ca_file)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def ours(folder: Path, upstream: Provider) -> Iterator[Bench]:
    """The interceptor with the record on and no console."""
    folder.mkdir()
    config = _CONFIG.format(host=HOST, address=ADDRESS, port=upstream.port, ca=upstream.ca)
    with running(Interceptor(folder, config, "--no-console")) as started:
        yield Bench(started.environ)


@contextlib.contextmanager
def bare_reverse(folder: Path, upstream: Provider) -> Iterator[int]:
    """`mitmdump --mode reverse`; yields its port."""
    port = free_port()
    with _mitmdump(folder, upstream, f"reverse:https://{HOST}@127.0.0.1:{port}"):
        wait_until(lambda: _answers(port), "mitmdump listens")
        yield port


@contextlib.contextmanager
def bare_wireguard(folder: Path, upstream: Provider) -> Iterator[Bench]:
    """`mitmdump --mode wireguard`, and a lease socket that hands its one server out, one jail after
    the other.
    """
    folder.mkdir()
    keys = {"server_key": wireguard.genkey(), "client_key": wireguard.genkey()}
    (folder / "keys.json").write_text(json.dumps(keys))
    port = _free_udp_port()
    lease = {
        "port": port,
        "private_key": keys["client_key"],
        "peer_public_key": wireguard.pubkey(keys["server_key"]),
        "dns": "10.0.0.53",
        "proxy_host": "127.0.0.1",
        "proxy_port": free_port(),
        "lease": "bench",
    }
    with (
        _mitmdump(folder, upstream, f"wireguard:{folder / 'keys.json'}@127.0.0.1:{port}"),
        _leases(folder / "run", lease),
    ):
        wait_until((folder / "mitmproxy-ca-cert.pem").exists, "mitmdump has made its certificates")
        yield Bench({**os.environ, "CCPROXY_CONFIG_DIR": str(folder)})


@contextlib.contextmanager
def _mitmdump(folder: Path, upstream: Provider, mode: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    addon = folder / "addon.py"
    addon.write_text(_ADDON.format(host=HOST, address=ADDRESS, port=upstream.port))
    command = [
        str(Path(sys.executable).with_name("mitmdump")),
        "-q",
        "--set",
        f"confdir={folder}",
        "--mode",
        mode,
    ]
    command += ["--set", f"ssl_verify_upstream_trusted_ca={upstream.ca}", "-s", str(addon)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _leases(run: Path, lease: dict[str, object]) -> Iterator[None]:
    """Answer every jail with the same lease."""
    run.mkdir(mode=0o700)
    held: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(run / "lease.sock"))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.recv(1 << 16)
                    connection.sendall(json.dumps(lease).encode() + b"\n")
                    held.append(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
