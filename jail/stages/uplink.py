"""Owner of the namespaces. Serves the launcher's orders one by one.

When the launcher has ended, for any reason, it ends every process of the jail and removes the state
folder. The namespaces end with it.

Orders (`op`) and replies; each reply may be `{"error": sentence}` instead:

tunnel     make wg0 -> {"backend"}, with the TUN device's descriptor for our own client
configure  addresses, routes, packet filter -> {}
rules      replace rules of the packet filter -> {}
listeners  the ports of the jail's loopback that have one -> {"ports": {port: address}}
connect    a TCP connection to a port of the jail's loopback -> {} and the socket
listen     a TCP listener on the jail's loopback -> {} and the socket
packets    a packet socket that sees all of wg0 -> {} and the socket
end        end what is left of the jail -> {"ended": number}
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from typing import Any

from jail.stages import census, channel, kernel, listeners, netlink, tunnel

TAP, TAP_ADDRESS, TAP_PREFIX = "tap0", "10.0.2.100", 24
WG_ADDRESS = "10.0.0.1"
_CLONE = os.CLONE_NEWUSER | os.CLONE_NEWNET | os.CLONE_NEWNS
_TOOL_TIMEOUT_S, _CONNECT_TIMEOUT_S, _LISTEN_BACKLOG = 10.0, 1.0, 128
_GRACE_AFTER_LAUNCHER_S = 0.2
_ETH_P_ALL, _DNS_PORT = 3, 53
Answer = tuple[dict[str, Any], tuple[int, ...]]


class Uplink:
    """Owner of the namespaces."""

    def __init__(self, end: socket.socket, states: int, state: str) -> None:
        self._end = end
        self._states = states
        self._state = state
        self._helper: int | None = None
        self._tools: dict[str, str] = {}
        self._orders = {
            "tunnel": self._tunnel,
            "configure": self._configure,
            "rules": self._rules,
            "listeners": self._listeners,
            "connect": self._connect,
            "listen": self._listen,
            "packets": self._packets,
            "end": self._finish,
        }

    def serve(self) -> None:
        """Serve orders until the launcher has ended."""
        while (received := channel.receive(self._end)) is not None:
            answer, descriptors = self._answer(received[0])
            try:
                channel.send(self._end, answer, descriptors)
            except OSError:
                return
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def close(self) -> None:
        """End every process and remove everything of the jail."""
        census.end_all(_GRACE_AFTER_LAUNCHER_S)
        if self._helper:
            # Reaped here: in a container no init process may do it.
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._helper, signal.SIGKILL)
                os.waitpid(self._helper, 0)
        shutil.rmtree(self._state, ignore_errors=True, dir_fd=self._states)

    def _answer(self, order: dict[str, Any]) -> Answer:
        try:
            return self._orders[order["op"]](order)
        except (OSError, subprocess.SubprocessError, tunnel.TunnelError) as error:
            return {"error": f"{order['op']}: {error}"}, ()

    def _tunnel(self, order: dict[str, Any]) -> Answer:
        self._tools = order["tools"]
        backend, self._helper, tun = tunnel.open_tunnel(order)
        return {"backend": backend}, () if tun is None else (tun,)

    def _configure(self, order: dict[str, Any]) -> Answer:
        """Set addresses, then the filter, and the way out last."""
        netlink.set_up("lo")
        netlink.add_address(tunnel.LINK, WG_ADDRESS, 32)
        # Lets address translation send packets of 127.0.0.0/8 out of tap0.
        _set("net/ipv4/conf/all/route_localnet", "1")
        links = [tunnel.LINK, TAP] if order["tap"] else [tunnel.LINK]
        _close_ipv6(links)
        self._rules(order)
        if order["udp_only_to"] is not None:
            netlink.udp_only_to(order["udp_only_to"], _DNS_PORT)
        if order["tap"]:
            netlink.add_address(TAP, TAP_ADDRESS, TAP_PREFIX)
            netlink.set_up(TAP, mtu=order["tap_mtu"])
        netlink.set_up(tunnel.LINK, mtu=tunnel.MTU)
        netlink.default_route(tunnel.LINK)
        return {}, ()

    def _rules(self, order: dict[str, Any]) -> Answer:
        for tool, text in order["rules"]:
            _restore(tool, self._tools[tool], text)
        return {}, ()

    def _listeners(self, _: dict[str, Any]) -> Answer:
        return {"ports": listeners.loopback_listeners()}, ()

    def _connect(self, order: dict[str, Any]) -> Answer:
        address = (order["host"], order["port"])
        connection = socket.create_connection(address, timeout=_CONNECT_TIMEOUT_S)
        # The descriptor goes to the launcher, whose relay blocks.
        connection.settimeout(None)
        return {}, (connection.detach(),)

    def _listen(self, order: dict[str, Any]) -> Answer:
        listener = socket.create_server(("127.0.0.1", order["port"]), backlog=_LISTEN_BACKLOG)
        return {}, (listener.detach(),)

    def _packets(self, order: dict[str, Any]) -> Answer:
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        packets.bind((tunnel.LINK, _ETH_P_ALL))
        return {}, (packets.detach(),)

    def _finish(self, order: dict[str, Any]) -> Answer:
        return {"ended": census.end_all(order["grace_s"])}, ()


def _close_ipv6(links: list[str]) -> None:
    """Close IPv6, except ::1 on lo, which servers of Node need.

    A kernel without IPv6 needs nothing.
    """
    if os.path.isdir("/proc/sys/net/ipv6"):
        for link in links:
            _set(f"net/ipv6/conf/{link}/disable_ipv6", "1")


def _set(name: str, value: str) -> None:
    with open(f"/proc/sys/{name}", "w") as file:
        file.write(value)


def _restore(name: str, path: str, text: str) -> None:
    """Load rules in one transaction.

    The program has many names, and acts by the one it is called by.
    """
    done = subprocess.run(  # noqa: S603  # a tool found on PATH by the launcher
        [name, "--noflush"],
        executable=path,
        input=text,
        text=True,
        capture_output=True,
        timeout=_TOOL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise tunnel.TunnelError(f"{name} failed: {done.stderr.strip()}")


def main(arguments: list[str]) -> None:
    """Run the stage. Arguments: descriptor of the channel, state folder."""
    end = socket.socket(fileno=int(arguments[0]))
    os.set_inheritable(end.fileno(), False)
    # It outlives the command and ends with the launcher, by the closed channel.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    uid, gid = os.getuid(), os.getgid()
    # Held open, because it may lie below /run.
    states = os.open(os.path.dirname(arguments[1]), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.unshare(_CLONE)
        kernel.write_maps(0, uid, 0, gid)
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
        kernel.mount(
            "tmpfs", "/run", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0700,size=1m"
        )
    except OSError as error:
        channel.send(end, {"error": str(error), "errno": error.errno})
        return
    user = os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    net = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    channel.send(end, {"ready": True}, (user, net))
    uplink = Uplink(end, states, os.path.basename(arguments[1]))
    try:
        uplink.serve()
    finally:
        uplink.close()
