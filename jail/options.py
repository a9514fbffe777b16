"""The options of `jail`, read without argparse's imports; everything from the first other word on
is the command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

BACKENDS = ("auto", "kernel", "wireguard-go", "python")
HELP = """\
usage: {prog} [OPTION ...] [--] COMMAND [ARGUMENT ...]
       {prog} --status [--json]
       {prog} --doctor [--json]

Run COMMAND where everything it sends leaves through the proxy. Its exit code is COMMAND's.

  --egress HOST           let it reach only this host; may be repeated,
                          *.example.com covers subdomains
  --allow-host-port PORT  let it reach this port of this machine's loopback; may be repeated
  --label TEXT            what its flows are called in the console; default: the command's name
  --pcap FILE             write every packet of the tunnel to FILE, for Wireshark
  --wireguard KIND        auto (default), kernel, wireguard-go or python
  --status                show what this machine offers, and which jails run
  --doctor                build a jail, try it, and say what is missing
  --json                  with --status or --doctor: for programs
  -h, --help              show this help
"""
MAX_PORT = 65535


class UsageError(Exception):
    """A mistake in the options."""


@dataclass(slots=True)
class Options:
    """What was asked for."""

    command: list[str] = field(default_factory=list)
    egress: list[str] | None = None
    host_ports: list[int] = field(default_factory=list)
    label: str | None = None
    pcap: Path | None = None
    wireguard: str = "auto"
    action: str = "run"
    """run, status, doctor or help"""
    as_json: bool = False


def parse(words: list[str]) -> Options:
    """The options in front of the command.

    Raises:
        UsageError: an option that is none, or a value that cannot be.
    """
    options, rest = Options(), list(words)
    while rest and rest[0].startswith("-"):
        name, separator, value = rest.pop(0).partition("=")
        if name == "--":
            break
        if name in _FLAGS and not separator:
            _FLAGS[name](options)
        elif name in _VALUES:
            if not separator:
                if not rest:
                    raise UsageError(f"{name} needs a value")
                value = rest.pop(0)
            _VALUES[name](options, value)
        else:
            raise UsageError(f"there is no option {name}{separator}{value}")
    options.command = rest
    if options.action in ("status", "doctor") and rest:
        raise UsageError(f"--{options.action} runs no command")
    return options


def _egress(options: Options, value: str) -> None:
    hosts = [host.strip() for host in value.split(",") if host.strip()]
    if not hosts:
        raise UsageError("--egress needs a host")
    options.egress = [*(options.egress or []), *hosts]


def _host_port(options: Options, value: str) -> None:
    if not (value.isascii() and value.isdigit() and 0 < int(value) <= MAX_PORT):
        raise UsageError(f"--allow-host-port needs a port number, not “{value}”")
    options.host_ports.append(int(value))


def _wireguard(options: Options, value: str) -> None:
    if value not in BACKENDS:
        raise UsageError(f"--wireguard is one of {', '.join(BACKENDS)}")
    options.wireguard = value


def _label(options: Options, value: str) -> None:
    options.label = value


def _pcap(options: Options, value: str) -> None:
    options.pcap = Path(value)


def _action(name: str) -> Callable[[Options], None]:
    def choose(options: Options) -> None:
        options.action = name

    return choose


def _json(options: Options) -> None:
    options.as_json = True


_FLAGS: dict[str, Callable[[Options], None]] = {
    "--status": _action("status"),
    "--doctor": _action("doctor"),
    "--help": _action("help"),
    "-h": _action("help"),
    "--json": _json,
}
_VALUES: dict[str, Callable[[Options, str], None]] = {
    "--egress": _egress,
    "--allow-host-port": _host_port,
    "--wireguard": _wireguard,
    "--label": _label,
    "--pcap": _pcap,
}
