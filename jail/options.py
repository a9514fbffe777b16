"""The options of `jail`; everything from the first other word on is the command."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from providers.base.arguments import argument_hint

BACKENDS = ("auto", "kernel", "wireguard-go", "python")
MAX_PORT = 65535
_USAGE = """\
%(prog)s [OPTION ...] [--] COMMAND [ARGUMENT ...]
       %(prog)s --status [--json]
       %(prog)s --doctor [--json]"""


class UsageError(Exception):
    """A mistake in the options."""


@dataclass(slots=True)
class Options:
    """The options of one call, with their defaults."""

    command: list[str] = field(default_factory=list)
    egress: list[str] | None = None
    env: list[str] | None = None
    host_ports: list[int] = field(default_factory=list)
    label: str | None = None
    pcap: Path | None = None
    wireguard: str = "auto"
    action: str = "run"
    """run, status, doctor or help"""
    as_json: bool = False


def parse(words: list[str]) -> Options:
    """Return the options in front of the command, and the command.

    Raises:
        UsageError: an unknown option, or a value that its option does not take.
    """
    options = Options()
    _parser("ccproxy jail").parse_args(words, namespace=options)
    # argparse leaves the separator in what it does not read; a second one is the command's own.
    if options.command[:1] == ["--"]:
        options.command = options.command[1:]
    if options.action in ("status", "doctor") and options.command:
        raise UsageError(f"--{options.action} runs no command")
    return options


def help_text(prog: str) -> str:
    """Return the help of the command that is called `prog`."""
    return _parser(prog).format_help()


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message.removeprefix("argument ") + argument_hint(self, message))


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog,
        usage=_USAGE,
        description="Run COMMAND where everything it sends leaves through the proxy. "
        "Its exit code is COMMAND's.",
        add_help=False,
        allow_abbrev=False,
    )
    _add_limits(parser)
    _add_names(parser)
    add = parser.add_argument
    add(
        "--wireguard",
        metavar="KIND",
        choices=BACKENDS,
        help="auto (default), kernel, wireguard-go or python",
    )
    _add_action(parser, "--status", help="show what this machine offers, and which jails run")
    _add_action(parser, "--doctor", help="build a jail, try it, and say what is missing")
    add("--json", dest="as_json", action="store_true", help="print JSON (--status, --doctor)")
    _add_action(parser, "-h", "--help", help="show this help")
    add("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what the command may reach and know."""
    add = parser.add_argument
    add(
        "--egress",
        metavar="HOST",
        type=_hosts,
        action="extend",
        help="let it reach only this host; may be repeated, *.example.com covers subdomains",
    )
    add(
        "--allow-host-port",
        metavar="PORT",
        dest="host_ports",
        type=_port,
        action="append",
        help="let it reach this port of this machine's loopback; may be repeated",
    )
    add(
        "--env",
        metavar="NAME",
        action="append",
        help="pass only this variable, besides PATH, HOME and the like; may be repeated, * matches"
        " any letters; default: all but the proxy's own",
    )


def _add_names(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where what it sends is kept, and under which name."""
    add = parser.add_argument
    add(
        "--label",
        metavar="TEXT",
        help="the name of its flows in the console; default: the command's name",
    )
    add(
        "--pcap",
        metavar="FILE",
        type=Path,
        help="write every packet of the tunnel to FILE, for Wireshark",
    )


def _add_action(parser: argparse.ArgumentParser, *names: str, help: str) -> None:
    """Add an option that does something else than run the command."""
    action = names[-1].removeprefix("--")
    parser.add_argument(*names, dest="action", action="store_const", const=action, help=help)


def _hosts(text: str) -> list[str]:
    hosts = [host.strip() for host in text.split(",") if host.strip()]
    if not hosts:
        raise argparse.ArgumentTypeError("give a host")
    return hosts


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f"give a port number, not “{text}”")
    return int(text)
