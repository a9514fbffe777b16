"""Launcher: builds a jail, runs the command in it, takes it down.

No Django, so that it is ready in well under a second.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

from interceptor.config.files.directory import config_dir
from interceptor.config.files.load_settings import load_server_settings
from interceptor.config.files.server import ServerSettings
from interceptor.operate.keylog import WG_KEYLOG
from interceptor.operate.liveness import is_ccproxy
from interceptor.wireguard.lease_client import Lease, take_lease
from jail.ca_bundle import write_bundle
from jail.cell import Cell, Orders
from jail.environment import (
    MARKER,
    covered_folders,
    emptied_files,
    jail_environment,
    shown_files,
)
from jail.network.pcap import Capture
from jail.network.ports import Forwarded, HostPorts, PortWatch
from jail.network.rules import RESTORE, RESTORE_6, RuleSet, filter_rules, filter_rules_6
from jail.network.slirp import TAP_MTU, Slirp
from jail.network.uplink import Uplink
from jail.options import Options
from jail.state import State
from jail.supervise import hold_signals, wait_for
from jail.tools import NEEDED, distribution, find_tools, install_hint
from jail.wireguard.peer import Peer
from jail.wireguard.process import InitiatorProcess
from providers.base.errors import CcproxyError, ConfigError

DEFAULT_PORT = 4000
_GRACE_S = 1.0
_TUN = "/dev/net/tun"


class CommandError(CcproxyError):
    """The command cannot be run. `code` is the exit code that a shell would return."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(slots=True)
class Plan:
    """Facts that are known before the first process starts."""

    options: Options
    directory: Path
    settings: ServerSettings
    program: str
    tools: dict[str, str]
    backend: str
    notes: list[str] = field(default_factory=list)
    """Printed after the command has ended: until then the terminal is the command's."""


def run_jailed(options: Options) -> int:
    """Run the command in a jail and return its wait status.

    Raises:
        CommandError: there is no such command, or it cannot be executed.
        ConfigError: the jail cannot be built, with the reason and what helps.
    """
    plan = make_plan(options)
    try:
        with contextlib.ExitStack() as stack:
            return _run(plan, stack)
    finally:
        for note in plan.notes:
            sys.stderr.write(f"ccproxy: {note}\n")


def make_plan(options: Options) -> Plan:
    """Check everything that can be refused before a process starts, and return the plan."""
    if sys.platform != "linux":
        raise ConfigError("the jail needs Linux; elsewhere use: ccproxy run -- COMMAND, or WSL 2")
    if inside := os.environ.get(MARKER):
        raise ConfigError(f"this is a jail already (run {inside}); run the command as it is")
    directory = config_dir()
    settings = load_server_settings(directory, os.environ)
    program = find_program(options.command[0])
    tools = find_tools(os.environ)
    return Plan(
        options, directory, settings, program, tools, choose_backend(options.wireguard, tools)
    )


def find_program(name: str) -> str:
    """Return the path of a command's program.

    Raises:
        CommandError: none, as a shell would say it.
    """
    found = shutil.which(name)
    if found:
        return found
    if "/" not in name:
        raise CommandError(f"there is no command “{name}” on PATH", 127)
    if not Path(name).exists():
        raise CommandError(f"there is no command “{name}”", 127)
    raise CommandError(f"cannot run {name}: Permission denied", 126)


def choose_backend(wanted: str, tools: dict[str, str]) -> str:
    """Choose the WireGuard client to try.

    Our own client needs no tool, so it is the last resort.

    Raises:
        ConfigError: the wanted way lacks a tool, or /dev/net/tun may not be used.
    """
    if not os.access(_TUN, os.R_OK | os.W_OK):
        raise ConfigError(f"{_TUN} cannot be used by you; as root: modprobe tun; chmod 666 {_TUN}")
    missing = [name for name in NEEDED if name not in tools]
    if wanted == "python" or not missing:
        return wanted
    if wanted == "auto":
        return "python"
    raise ConfigError(
        f"--wireguard {wanted} needs {', '.join(missing)}: {install_hint(missing, distribution())}"
    )


def _run(plan: Plan, stack: contextlib.ExitStack) -> int:
    """Build the jail, run the command and return its wait status.

    Steps: 1 lease, 2 namespaces, 3 command's process, 4 tunnel and filter, 5 closed cell, 6 ports,
    7 go, 8 wait.
    """
    lease, line = _leased(plan)
    stack.callback(line.close)
    state = State.create(plan.directory)
    stack.callback(state.close)
    uplink = Uplink.start(state.folder)
    stack.callback(uplink.stop)
    bundle = write_bundle(plan.directory, plan.settings.cert_dir(plan.directory), os.environ)
    # It imports while the uplink makes the namespaces.
    environ = jail_environment(os.environ, bundle, lease.lease, plan.options.env)
    cell = Cell.start(plan.options.command, environ)
    stack.callback(cell.kill)
    uplink.wait_ready()
    network = _connect(plan, lease, uplink, state, stack)
    cell.enter(_orders(plan, bundle, state, lease.dns), uplink.namespaces)
    watch = _open_ports(plan, lease, uplink, network)
    if plan.options.pcap is not None:
        stack.callback(_stop_capture, plan, Capture.start(uplink.packets(), plan.options.pcap))
    state.write_info(
        command=plan.options.command,
        backend=network.backend,
        lease=lease.lease,
        command_pid=cell.pid,
    )
    # From here on the command may end at any time; its signals wait for `wait_for`.
    hold_signals()
    _go(cell, plan.options.command[0])
    watch.start()
    stack.callback(watch.stop)
    status = wait_for(cell.pid)
    _look_back(plan, uplink, network, line)
    return status


def _leased(plan: Plan) -> tuple[Lease, socket]:
    options = plan.options
    label = options.label or Path(options.command[0]).name
    settings = plan.settings
    return take_lease(
        plan.directory,
        label=label,
        command=options.command,
        egress=options.egress,
        is_up=lambda: is_ccproxy(settings.host, settings.port),
    )


@dataclass(slots=True)
class Network:
    """Connection of the jail. One of the two processes is set."""

    backend: str
    slirp: Slirp | None = None
    initiator: InitiatorProcess | None = None


def _connect(
    plan: Plan, lease: Lease, uplink: Uplink, state: State, stack: contextlib.ExitStack
) -> Network:
    """Set up tunnel, addresses, filter and routes."""
    slirp = None
    if plan.backend != "python":
        slirp = Slirp.start(plan.tools["slirp4netns"], uplink.pid, state.folder)
        stack.callback(slirp.stop)
    backend, tun = uplink.open_tunnel(
        backend=plan.backend,
        tools=plan.tools,
        port=lease.port,
        private_key=lease.private_key,
        peer_public_key=lease.peer_public_key,
    )
    if tun is not None:
        # No other client was there. Ending slirp4netns takes tap0 away, the way around the tunnel.
        if slirp is not None:
            slirp.stop()
        return Network(backend, initiator=_serve_tun(plan, lease, uplink, tun, stack))
    if slirp is None:
        raise ConfigError(f"a jail with the client {backend} needs slirp4netns")
    slirp.wait_ready()
    uplink.configure(_rules(plan, lease), tap=True, tap_mtu=TAP_MTU)
    return Network(backend, slirp=slirp)


def _serve_tun(
    plan: Plan, lease: Lease, uplink: Uplink, tun: int, stack: contextlib.ExitStack
) -> InitiatorProcess:
    """Serve the TUN device with our own client, outside the namespace.

    The jail has no tap0 and needs no filter: nothing else leads out.
    """
    initiator = InitiatorProcess.start()
    stack.callback(initiator.stop)
    keylog = plan.directory / WG_KEYLOG if plan.settings.inspector.keylog else None
    initiator.connect(
        tun, Peer(lease.port, lease.private_key, lease.peer_public_key), keylog=keylog
    )
    os.close(tun)
    uplink.configure([], tap=False, udp_only_to=lease.dns)
    initiator.wait_ready()
    return initiator


def _rules(plan: Plan, lease: Lease) -> RuleSet:
    rules = [(RESTORE, filter_rules(tunnel_port=lease.port, dns=lease.dns))]
    if RESTORE_6 in plan.tools and Path("/proc/sys/net/ipv6").is_dir():
        rules.append((RESTORE_6, filter_rules_6()))
    return rules


def _orders(plan: Plan, bundle: Path, state: State, dns: str) -> Orders:
    cert_dir = plan.settings.cert_dir(plan.directory)
    covered = covered_folders(plan.directory, cert_dir, Path.cwd())
    shown = shown_files(bundle, state.write_resolv_conf(dns))
    if emptied := emptied_files(os.environ, covered):
        empty = str(state.write_empty_file())
        shown += [(empty, path) for path in emptied]
    return Orders(plan.program, shown, covered, os.getpid())


def _open_ports(plan: Plan, lease: Lease, uplink: Uplink, network: Network) -> PortWatch:
    """Make the proxy's port reachable by its own number and by the usual one."""
    settings = plan.settings
    always = {DEFAULT_PORT: lease.proxy_port, lease.proxy_port: lease.proxy_port}
    # A server of the command on one of these would take the host's port from us.
    ours = {settings.port, settings.inspector.port, settings.mcp.http.port}
    ours |= always.keys()
    forwarded = Forwarded(uplink, ours, plan.notes.append)
    if network.backend == "python":
        forwarded.offer_host({port: port for port in plan.options.host_ports} | always)
        return PortWatch(uplink, forwarded, None)
    host = HostPorts(uplink, always, plan.options.host_ports)
    host.sync({})
    return PortWatch(uplink, forwarded, host)


def _go(cell: Cell, name: str) -> None:
    try:
        cell.go()
    except FileNotFoundError:
        raise CommandError(
            f"cannot run {name}: its interpreter does not exist, or it is hidden", 126
        ) from None
    except OSError as error:
        raise CommandError(f"cannot run {name}: {error.strerror}", 126) from None


def _look_back(plan: Plan, uplink: Uplink, network: Network, line: socket) -> None:
    """End what the command left running, and note what failed meanwhile."""
    with contextlib.suppress(ConfigError):
        uplink.end_all(_GRACE_S)
    if not uplink.is_alive or (network.slirp is not None and not network.slirp.is_alive):
        plan.notes.append(
            "the jail's network ended before the command; what it sent after that was lost"
        )
    if _has_ended(line):
        plan.notes.append(
            "the proxy stopped while the command ran; what it sent after that was lost"
        )


def _has_ended(lease: socket) -> bool:
    lease.setblocking(False)
    try:
        return not lease.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _stop_capture(plan: Plan, capture: Capture) -> None:
    if problem := capture.stop():
        plan.notes.append(problem)
