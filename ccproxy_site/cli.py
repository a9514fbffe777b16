"""The `ccproxy` command: management commands under the product's names.

Every error is one line, in the same form.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ccproxy_site.command_table import COMMANDS
from ccproxy_site.roles import VARIABLE
from ccproxy_site.supervise.become import become_supervisor
from ccproxy_site.terminal.command_hints import complete_hints
from interceptor.config.files.directory import CONFIG_FILE_NAME, config_dir
from providers.base.errors import CcproxyError, ConfigError
from providers.wire.core.no_collection import without_collection

if TYPE_CHECKING:
    from django.core.management import BaseCommand

    from interceptor.config.files.server import ServerSettings
    from interceptor.operate.command_settings import CommandSettings

_HELP = """\
usage: ccproxy [--config PATH] [-v] COMMAND [ARGUMENT ...]

See what your agent really sent, what left the proxy, and who changed it.

{commands}

  --config PATH  config directory; default: $CCPROXY_CONFIG_DIR or ~/.config/ccproxy
  -v, --verbose  show what the command does
  --version      show the version

`ccproxy COMMAND --help` shows a command's options. Django's own commands work too,
e.g. createsuperuser.
"""
_DJANGO_OPTIONS = {
    "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color",
    "--force-color",
    "--skip-checks",
}  # fmt: skip
"""Accepted, but left out of the help of the product's commands."""
_GLOBAL_OPTIONS = ("--config", "--verbose", "--version", "--help")
_REPLACED = {
    # It prints the stored column, which here is a digest that opens nothing.
    "drf_create_token": "ccproxy makes API tokens itself: ccproxy apitoken new [USER]",
}
"""Commands of libraries that do not work here, with what to use instead."""
_BROKEN_PIPE, _INTERRUPTED = 141, 130


def main() -> None:
    """Entry point of the console script."""
    complete_hints()
    raise SystemExit(guarded(lambda: _product(sys.argv[1:])))


def manage(argv: list[str] | None = None) -> None:
    """Entry point of `manage.py`: ours and Django's commands under Django's names."""
    arguments = argv or sys.argv
    if code := guarded(lambda: _django(arguments)):
        raise SystemExit(code)


def guarded(action: Callable[[], int | None]) -> int:
    """Run `action`; turn expected failures into one line on stderr and an exit code."""
    try:
        code = action() or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader is gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except CcproxyError as exc:
        return _fail(str(exc))
    except Exception as exc:
        if _is_database_error(exc):
            return _fail(f"cannot use the database: {exc}")
        raise


def _is_database_error(exc: Exception) -> bool:
    """Return True for an error of the database.

    Django is looked up, not imported: most commands that fail early never loaded it.
    """
    database = sys.modules.get("django.db")
    return database is not None and isinstance(exc, database.DatabaseError)


def _fail(sentence: str) -> int:
    sys.stderr.write(f"ccproxy: {' '.join(sentence.split())}\n")
    return 1


def _product(arguments: list[str]) -> int:
    """Global options, then the command.

    Help, health checks, `run` and `logs` need no Django and start fast.
    """
    verbose, rest = _global_options(arguments)
    if not rest or rest[0] in ("-h", "--help", "help"):
        sys.stdout.write(help_text())
        return 0
    if rest[0] in ("--version", "version"):
        sys.stdout.write(f"ccproxy {_version()}\n")
        return 0
    if rest[0].startswith("-"):
        raise CcproxyError(_unknown_option(rest[0]))
    name, following = rest[0], rest[1:]
    if name in _REPLACED:
        raise CcproxyError(_REPLACED[name])
    if (code := _without_django(name, following)) is not None:
        return code
    return _with_django(name, following, verbose=verbose)


def _global_options(arguments: list[str]) -> tuple[bool, list[str]]:
    """Return True when `-v` was given, and the arguments after the global options.

    `--config` becomes CCPROXY_CONFIG_DIR.
    """
    rest, verbose = list(arguments), False
    while rest:
        option, _, value = rest[0].partition("=")
        if option in ("-v", "--verbose"):
            verbose = True
        elif option == "--config":
            if not value and len(rest) > 1:
                value = rest.pop(1)
            os.environ["CCPROXY_CONFIG_DIR"] = str(_chosen_directory(value))
        else:
            break
        rest.pop(0)
    return verbose, rest


def _chosen_directory(value: str) -> Path:
    if not value:
        raise ConfigError("--config needs the path of a config directory")
    path = Path(value).expanduser().absolute()
    if path.is_file():
        if path.name != CONFIG_FILE_NAME:
            raise ConfigError(
                f"--config wants a directory, which holds a {CONFIG_FILE_NAME}; {path} is a file"
            )
        return path.parent
    return path


def help_text() -> str:
    """Return the help of `ccproxy` itself."""
    lines = [f"  {name:<14} {command.summary}" for name, command in COMMANDS.items()]
    return _HELP.format(commands="\n".join(lines))


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ccproxy")
    except PackageNotFoundError:
        return "(not installed)"


def _without_django(name: str, arguments: list[str], prog: str = "ccproxy") -> int | None:
    """Return the exit code of a command that runs without Django, or None for another command."""
    if name == "run":
        return _run(arguments)
    if name == "clients":
        return int(import_module("jail.run.client_table").main(arguments))
    if name in ("jail", "namespace"):
        return int(import_module("jail.command").COMMANDS[name](arguments, prog=f"{prog} {name}"))
    if name in COMMANDS and {"-h", "--help"} & set(_before_separator(arguments)):
        # Prints the help and ends the process.
        _parsed(name, arguments)
    if name == "start":
        _start(_parsed(name, arguments, prog))
    if name == "logs":
        return _logs(_parsed(name, arguments))
    if name == "completion":
        return _completion(_parsed(name, arguments))
    if name == "status":
        return _status(_parsed(name, arguments))
    if name == "flows" and arguments[:1] == ["list"]:
        return _listed(_parsed(name, arguments))
    if name == "init" and "--force" in arguments:
        # The settings are read before any command runs; a broken file must not keep --force from
        # replacing it.
        import_module("interceptor.config.files.template").set_aside(
            config_dir() / CONFIG_FILE_NAME
        )
    return None


def _run(arguments: list[str]) -> int:
    from ccproxy_site.database_url import this_database
    from jail.withproxy import main as run

    return run(arguments, this_database)


def _before_separator(arguments: list[str]) -> Sequence[str]:
    """Return the arguments that may be options: those in front of `--`."""
    if "--" in arguments:
        return arguments[: arguments.index("--")]
    return arguments


def _start(options: Namespace) -> NoReturn:
    become_supervisor(
        workers=options.workers,
        no_console=options.no_console,
        allow_code_config=options.allow_code_config,
        flow_lines=options.flow_lines or (sys.stderr.isatty() and not options.quiet),
    )


def _parsed(name: str, arguments: list[str], prog: str = "ccproxy") -> Namespace:
    """Return the options of one of the product's commands. A mistake ends the process."""
    command = COMMANDS[name]
    parsers: Any = import_module(f"{command.app}.management.parsers")
    suggestions: Any = import_module("providers.base.arguments")
    shown = name if prog == "ccproxy" else command.django_name
    parser = ArgumentParser(prog=f"{prog} {shown}")
    getattr(parsers, command.django_name)(parser)
    suggestions.suggest_names(parser)
    return parser.parse_args(arguments)


def _server_settings() -> ServerSettings:
    # Imported only here: it takes longer than all of a command's help.
    from interceptor.config.files.load_settings import load_server_settings

    return load_server_settings(config_dir(), os.environ)


def _logs(options: Namespace) -> int:
    from interceptor.operate.logtail import log_file, show

    path = log_file(_server_settings(), config_dir())
    show(path, sys.stdout.buffer, lines=options.lines, follow=options.follow)
    return 0


def _completion(options: Namespace) -> int:
    from ccproxy_site.terminal.completion import completion_script

    sys.stdout.write(completion_script(options.shell))
    return 0


def _command_settings() -> CommandSettings:
    from interceptor.operate.command_settings import load_command_settings

    return load_command_settings(config_dir(), os.environ)


def _status(options: Namespace) -> int:
    """Return the exit code of a health check; without one, show what runs."""
    settings = _command_settings()
    if options.proxy or options.inspect or options.mcp:
        from interceptor.operate.liveness import check

        return check(settings, proxy=options.proxy, inspect=options.inspect, mcp=options.mcp)
    from ccproxy_site.terminal.plain_commands import show_status

    return show_status(options, settings)


def _listed(options: Namespace) -> int | None:
    """Return 0 once the newest flows are listed, or None for a list that needs Django."""
    from flows.management.plain_listing import is_plain

    if not is_plain(options, has_default_filters=_command_settings().has_default_filters):
        return None
    from ccproxy_site.terminal.plain_commands import show_newest_flows

    return 0 if show_newest_flows(options) else None


def _django(argv: list[str]) -> int:
    """Run a command by Django's name; others than ours are left to Django, help included."""
    ours = {command.django_name for command in COMMANDS.values()}
    if len(argv) > 1 and argv[1] in ("jail", "namespace"):
        return _without_django(argv[1], argv[2:], "manage.py") or 0
    if argv[1:2] == ["runinterceptor"]:
        _start(_parsed("start", argv[2:], "manage.py"))
    if len(argv) > 1 and argv[1] in ours:
        return _with_django(argv[1], argv[2:], prog="manage.py")
    if argv[1:2] and argv[1] in _REPLACED:
        raise CcproxyError(_REPLACED[argv[1]])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(argv)
    return 0


def _with_django(
    name: str, arguments: list[str], *, prog: str = "ccproxy", verbose: bool = False
) -> int:
    """Run a management command; its help and errors show the name it was called by."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    product = COMMANDS.get(name)
    if product is not None:
        os.environ.setdefault(VARIABLE, product.role)
    import django

    from ccproxy_site.process.logging import configure_logging

    configure_logging(None, "DEBUG" if verbose else "WARNING", to_stderr=True)
    # Nothing that is made while importing is garbage; looking for it takes a tenth of the time.
    with without_collection():
        django.setup()
        command = _load(name)
    if verbose and not any(word in ("-v", "--verbosity") for word in arguments):
        arguments = [*arguments, "--verbosity", "2"]
    if product is not None:
        command.suppressed_base_arguments = _DJANGO_OPTIONS
        # Django's checks look at pages, whose applications this process may not have.
        command.requires_system_checks = []
    return _execute(command, prog, name, arguments)


def _load(name: str) -> BaseCommand:
    """Return a command by the product's name or Django's.

    Raises:
        CcproxyError: there is no such command.
    """
    from django.core.management import get_commands, load_command_class

    if name in COMMANDS:
        return load_command_class(COMMANDS[name].app, COMMANDS[name].django_name)
    known = get_commands()
    if name not in known:
        raise CcproxyError(_unknown_command(name, [*COMMANDS, *known]))
    return load_command_class(known[name], name)


def _execute(command: BaseCommand, prog: str, name: str, arguments: list[str]) -> int:
    """Run a command as `BaseCommand.run_from_argv` does, with our form of an error."""
    from django.core.management import CommandError, handle_default_options
    from django.core.management.base import SystemCheckError
    from django.db import connections

    from ccproxy_site.process.database import ensure_database
    from providers.base.arguments import suggest_names

    command._called_from_command_line = True  # type: ignore[attr-defined]  # a usage error exits 2 with the usage, as argparse does
    parser = command.create_parser(prog, name)
    suggest_names(parser)
    options = vars(parser.parse_args(arguments))
    handle_default_options(Namespace(**options))
    try:
        if getattr(command, "needs_database", False):
            ensure_database()
        command.execute(*options.pop("args", ()), **options)
    except SystemCheckError as exc:
        sys.stderr.write(f"ccproxy: {exc}\n")
        return exc.returncode
    except CommandError as exc:
        _fail(str(exc))
        return exc.returncode
    finally:
        connections.close_all()
    return 0


def _unknown_command(name: str, known: list[str]) -> str:
    from providers.base.nearest import nearest

    match = nearest(name, known)
    hint = f"did you mean {match}?" if match else "see: ccproxy --help"
    return f"there is no command “{name}”; {hint}"


def _unknown_option(option: str) -> str:
    from providers.base.nearest import nearest

    match = nearest(option, _GLOBAL_OPTIONS)
    hint = f"did you mean {match}?" if match else "see: ccproxy --help"
    return f"there is no option {option}; {hint}"
