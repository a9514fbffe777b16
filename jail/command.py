"""`ccproxy jail` and `ccproxy run --inspect`. Errors are one line on stderr and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from interceptor.config.files.directory import config_dir
from interceptor.wireguard.client_config import stored_client_config
from jail.options import Options, UsageError, help_text, parse
from providers.base.errors import ConfigError
from providers.base.nearest import nearest

USAGE_EXIT = 2
NAMESPACE_ACTIONS = ("status", "doctor", "wireguard-config")
NAMESPACE_HELP = """\
usage: {prog} status [--json]
       {prog} doctor [--json]
       {prog} wireguard-config

status shows what this machine offers for jails, and which run.
doctor builds a jail, tries it, and says what is missing.
wireguard-config prints what a WireGuard client outside needs (inspector.wireguard_port); it
contains a private key.
"""


def main(words: list[str], *, prog: str = "ccproxy jail") -> int:
    """Run the subcommand in `words`. A command that dies of a signal takes this process with it.

    Raises:
        ConfigError: one sentence: the jail cannot be built.
    """
    try:
        options = parse(words)
    except UsageError as error:
        sys.stderr.write(f"ccproxy: {error}; see: {prog} --help\n")
        return USAGE_EXIT
    if options.action == "help":
        sys.stdout.write(help_text(prog))
        return 0
    if options.action == "run":
        return _run(options, prog)
    from jail.report import main as report

    return report(options.action, as_json=options.as_json)


def namespace(words: list[str], *, prog: str = "ccproxy namespace") -> int:
    """Run `namespace status` or `namespace doctor`, aliases of `jail --status` and `jail --doctor`.

    Raises:
        ConfigError: as `main`.
    """
    action, rest = (words[0], words[1:]) if words else ("", [])
    if action in ("status", "doctor") and all(word == "--json" for word in rest):
        return main([f"--{action}", *rest], prog=prog)
    if action == "wireguard-config" and not rest:
        from interceptor.config.files.load_settings import load_server_settings

        directory = config_dir()
        port = load_server_settings(directory, os.environ).inspector.wireguard_port
        sys.stdout.write(stored_client_config(directory, port))
        return 0
    if action in ("-h", "--help"):
        sys.stdout.write(NAMESPACE_HELP.format(prog=prog))
        return 0
    meant = nearest(action, NAMESPACE_ACTIONS)
    hint = f"did you mean {meant}?" if meant and meant != action else f"see: {prog} --help"
    sys.stderr.write(
        f"ccproxy: it is {prog} status, {prog} doctor or {prog} wireguard-config; {hint}\n"
    )
    return USAGE_EXIT


def _run(options: Options, prog: str) -> int:
    if not options.command:
        raise ConfigError(
            f"{prog.partition(' ')[2]} needs a command: {prog} -- COMMAND [ARGUMENT ...]"
        )
    from jail.launcher import CommandError, run_jailed
    from jail.supervise import end_like

    try:
        status = run_jailed(options)
    except CommandError as error:
        sys.stderr.write(f"ccproxy: {error}\n")
        return error.code
    return end_like(status)


COMMANDS: dict[str, Callable[..., int]] = {"jail": main, "namespace": namespace}
"""By the names of the product's commands."""
