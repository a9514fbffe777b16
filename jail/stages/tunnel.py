"""Interface wg0: the kernel's WireGuard, wireguard-go, or a TUN device for our own client.

Packets of the tunnel carry a mark that only the owner of the namespace can set, so the filter lets
nothing else reach the endpoint. 10.0.2.2 is this machine's loopback as slirp4netns shows it.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import os
import socket
import struct
import subprocess
import time
from typing import Any

from jail.stages import kernel, netlink

LINK, MARK, MTU = "wg0", 0xCC, 1420
ENDPOINT = "10.0.2.2"
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x1, 0x1000
_UAPI_SOCKET = f"/run/wireguard/{LINK}.sock"
_START_TIMEOUT_S, _TOOL_TIMEOUT_S = 5.0, 10.0
_NO_SUCH_KIND = (errno.EOPNOTSUPP, errno.ENODEV, errno.EINVAL)


class TunnelError(Exception):
    """The interface cannot be made. The message has the reason."""


def open_tunnel(order: dict[str, Any]) -> tuple[str, int | None, int | None]:
    """Make wg0 the wanted way, or the first that works.

    Args:
        order: `backend` (auto, kernel, wireguard-go or python), `tools` (name to absolute path),
        `port`,
            `private_key`, `peer_public_key`.

    Returns:
        The way, the process id of wireguard-go, and for "python" the descriptor of the TUN device.

    Raises:
        TunnelError: none works.
    """
    backend, tools = order["backend"], order["tools"]
    if backend in ("auto", "kernel"):
        if problem := _kernel_problem(tools):
            if backend == "kernel":
                raise TunnelError(problem)
        else:
            _configure_by_tool(tools["wg"], order)
            return "kernel", None, None
    if backend == "wireguard-go" or (backend == "auto" and "wireguard-go" in tools):
        return "wireguard-go", _start_wireguard_go(order), None
    return "python", None, open_tun()


def _kernel_problem(tools: dict[str, str]) -> str | None:
    """Make the interface with the kernel. Return the reason if it cannot, else None."""
    if "wg" not in tools:
        return "the kernel's WireGuard needs the tool wg (package wireguard-tools)"
    try:
        netlink.add_link(LINK, "wireguard")
    except OSError as error:
        # Old kernels and containers without the module answer in several ways.
        if error.errno not in _NO_SUCH_KIND and error.errno != errno.EPERM:
            raise
        return "this kernel has no WireGuard"
    return None


def _configure_by_tool(wg: str, order: dict[str, Any]) -> None:
    # The private key comes by standard input, because every user can read a command line.
    command = [wg, "set", LINK, "fwmark", hex(MARK), "private-key", "/dev/stdin"]
    command += ["peer", order["peer_public_key"], "allowed-ips", "0.0.0.0/0"]
    command += ["endpoint", f"{ENDPOINT}:{order['port']}"]
    key = order["private_key"] + "\n"
    done = subprocess.run(  # noqa: S603  # a tool found on PATH by the launcher
        command, input=key, text=True, capture_output=True, timeout=_TOOL_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise TunnelError(f"wg set failed: {done.stderr.strip()}")


def _start_wireguard_go(order: dict[str, Any]) -> int:
    """Run wireguard-go in the foreground as our child; send its keys over the control socket."""
    program = order["tools"].get("wireguard-go")
    if program is None:
        raise TunnelError("wireguard-go is not installed")
    os.makedirs(os.path.dirname(_UAPI_SOCKET), mode=0o700, exist_ok=True)
    parent = os.getpid()
    process = subprocess.Popen(  # noqa: S603  # a tool found on PATH by the launcher
        [program, "-f", LINK],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"WG_PROCESS_FOREGROUND": "1", "LOG_LEVEL": "silent"},
        preexec_fn=lambda: kernel.die_with_parent(parent),  # this process has one thread
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.settimeout(_START_TIMEOUT_S)
        _connect(control, process)
        _configure_by_socket(control, order)
    return process.pid


def _connect(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """Connect as soon as wireguard-go listens. For a moment its socket exists and refuses."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            control.connect(_UAPI_SOCKET)
        except (FileNotFoundError, ConnectionRefusedError):
            if process.poll() is not None:
                raise TunnelError(
                    f"wireguard-go ended with exit code {process.returncode}"
                ) from None
            if time.monotonic() > deadline:
                raise TunnelError("wireguard-go did not start in time") from None
            time.sleep(0.002)
        else:
            return


def _configure_by_socket(control: socket.socket, order: dict[str, Any]) -> None:
    """Configure by the protocol of https://www.wireguard.com/xplatform/. Keys are hexadecimal."""
    lines = [
        "set=1",
        f"private_key={_hexadecimal(order['private_key'])}",
        f"fwmark={MARK}",
        f"public_key={_hexadecimal(order['peer_public_key'])}",
        f"endpoint={ENDPOINT}:{order['port']}",
        "replace_allowed_ips=true",
        "allowed_ip=0.0.0.0/0",
    ]
    control.sendall("\n".join([*lines, "", ""]).encode())
    answer = control.recv(4096).decode()
    if "errno=0\n" not in answer:
        raise TunnelError(f"wireguard-go refused its configuration: {answer.strip()}")


def open_tun() -> int:
    """Open a TUN device that lives as long as its descriptor."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    request = struct.pack("16sH22x", LINK.encode(), _IFF_TUN | _IFF_NO_PI)
    fcntl.ioctl(descriptor, _TUNSETIFF, request)
    return descriptor


def _hexadecimal(key: str) -> str:
    return base64.b64decode(key).hex()
