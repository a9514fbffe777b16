"""Servers in the jail are reached from inside and from this machine; this machine's ports only by
leave.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading

import httpx
import pytest

from tests.e2e.process import wait_until
from tests.patience import PATIENCE_S
from tests.ports import free_port
from tests.sockets import read_to_end

BACKENDS = pytest.mark.parametrize("backend", ["wireguard-go", "python"])
SERVER = """
import http.server, socket, sys, threading, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"from the jail " + self.path.encode())
    def log_message(self, *_): pass
class Server(http.server.HTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = Server((sys.argv[1], int(sys.argv[2])), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
host = f"[{sys.argv[1]}]" if ":" in sys.argv[1] else "127.0.0.1"
print(urllib.request.urlopen(f"http://{host}:{sys.argv[2]}/inside").read().decode(), flush=True)
sys.stdin.readline()
server.shutdown(); server.server_close()
print("closed", flush=True)
sys.stdin.readline()
"""


def serving(world, bind: str, port: int, *options: str) -> subprocess.Popen[str]:
    words = (sys.executable, "-I", "-c", SERVER, bind, str(port))
    process: subprocess.Popen[str] = world.start(
        *words, options=options, is_warm=True, stdin=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "from the jail /inside\n", process.communicate()[1]
    return process


def say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def asked(port: int, host: str = "127.0.0.1") -> str:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://{host}:{port}/outside", trust_env=False, timeout=PATIENCE_S).text
    return ""


@pytest.mark.parametrize(
    ("backend", "bind"),
    [
        *(("wireguard-go", bind) for bind in ("127.0.0.1", "0.0.0.0", "::1", "::")),
        ("python", "127.0.0.1"),
    ],
)
def test_a_server_in_the_jail_is_reached_from_both_sides(world, backend, bind):
    """As the callback of an OAuth login needs it: the browser is outside, the server inside."""
    port = free_port()
    with serving(world, bind, port, "--wireguard", backend) as process:
        wait_until(lambda: asked(port) == "from the jail /outside", "the port is forwarded")
        assert asked(port, "[::1]") == "from the jail /outside"
        say(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "closed\n"
        wait_until(lambda: not listens(port), "the port is closed again")
        say(process)
        assert process.wait(PATIENCE_S) == 0


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_a_port_in_use_here_is_left_alone(world):
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        with serving(world, "127.0.0.1", port) as process:
            marker = free_port()
            with serving(world, "127.0.0.1", marker) as other:
                wait_until(lambda: asked(marker), "the watch has looked")
                other.communicate("\n\n", timeout=PATIENCE_S)
            err = process.communicate("\n\n", timeout=PATIENCE_S)[1]
        assert process.returncode == 0
        assert (
            f"port {port} of the command was not forwarded: 127.0.0.1:{port} is in use on this"
            " machine" in err
        )
        ours.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ours.accept()


@BACKENDS
def test_of_this_machine_only_the_proxy_is_reached(world, backend):
    with answering() as allowed, answering() as forbidden:
        ports = (
            4000,
            world.interceptor.port,
            allowed,
            forbidden,
            free_port(),
            world.interceptor.console_port,
        )
        code = f"""
import urllib.request
for port in {ports}:
    path = "/health" if port in {ports[:2]} else "/"
    try: print(port, urllib.request.urlopen(f"http://127.0.0.1:{{port}}{{path}}", timeout=5).status)
    except OSError as error: print(port, "refused")
"""
        done = world.python(
            code, options=("--allow-host-port", str(allowed), "--wireguard", backend)
        )
    assert done.returncode == 0, done.stderr
    results = [line.split()[1] for line in done.stdout.splitlines()]
    assert results == ["200", "200", "200", "refused", "refused", "refused"]


@contextlib.contextmanager
def answering():
    """A tiny web server of this machine; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.recv(65536)
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    )
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_the_products_own_ports_are_not_forwarded(world):
    """Else a jail could take the console's place while the console is down."""
    own, other = free_port(), free_port()
    environ = {"CCPROXY_INSPECTOR__PORT": str(own)}
    code = (
        "import socket, sys\n"
        f"held = [socket.create_server(('127.0.0.1', port)) for port in ({own}, {other})]\n"
        "print('up', flush=True); sys.stdin.readline()"
    )
    with world.start(
        sys.executable, "-I", "-c", code, stdin=subprocess.PIPE, environ=environ
    ) as process:
        assert process.stdout.readline() == "up\n"
        wait_until(lambda: listens(other), "the watch has looked")
        assert not listens(own)
        process.communicate("\n", timeout=PATIENCE_S)


def test_much_data_passes_whole(world):
    """A large answer through the forwarded port, both ends closing when they are done."""
    port = free_port()
    code = (
        "import socket, sys\n"
        f"s = socket.create_server(('127.0.0.1', {port})); print('up', flush=True)\n"
        "while True:\n"
        "    c, _ = s.accept()\n"
        "    data = b''.join(iter(lambda: c.recv(65536), b''))\n"
        "    if data: break\n"
        "c.sendall(data[::-1]); c.close()\n"
    )
    with world.start(sys.executable, "-I", "-c", code) as process:
        assert process.stdout.readline() == "up\n"
        wait_until(lambda: listens(port), "the port is forwarded")
        sent = os.urandom(3_000_000)
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            received = read_to_end(client)
        assert received == sent[::-1]
        assert process.wait(PATIENCE_S) == 0
