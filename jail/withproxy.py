"""`ccproxy run -- CMD`: runs a command whose SDKs talk to the proxy.

No Django, so that it starts fast. The process is replaced by the command: exit code, signals,
terminal and job control are the command's own. Nothing is read from the current directory, whose
settings could point the command elsewhere.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from interceptor.config.files.directory import config_dir
from providers.base.loopback import is_loopback
from providers.base.nearest import name_hint

if TYPE_CHECKING:
    from interceptor.config.files.server import ServerSettings

HELP = """\
usage: ccproxy run [--] COMMAND [ARGUMENT ...]
       ccproxy run --inspect [JAIL OPTION ...] [--] COMMAND [ARGUMENT ...]

Run COMMAND with ANTHROPIC_BASE_URL, OPENAI_BASE_URL, OPENAI_API_BASE and
GOOGLE_GEMINI_BASE_URL set to the proxy. Its exit code is COMMAND's.

  -i, --inspect  capture everything COMMAND sends, not only its SDK calls: the same as ccproxy jail
  -h, --help     show this help
"""
_OPTIONS = ("--inspect", "--help")
_INSPECT, _PROG = ("-i", "--inspect"), "ccproxy run --inspect"
_PROXY_VARIABLES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def main(arguments: list[str]) -> int:
    """Run the command after the options. Returns only if it cannot be started.

    Raises:
        ConfigError: the server settings are refused.
    """
    options, command = split_options(arguments)
    if "-i" in options or "--inspect" in options:
        from jail.command import main as jail

        words = [word for word in options if word not in _INSPECT]
        return jail(words + arguments[len(options) :], prog=_PROG)
    if "-h" in options or "--help" in options:
        sys.stdout.write(HELP)
        return 0
    if not command:
        return _fail("run needs a command: ccproxy run -- COMMAND [ARGUMENT ...]")
    # Imported only here: they take longer than the help.
    from interceptor.config.files.load_settings import load_server_settings
    from interceptor.operate.liveness import is_listening

    settings = load_server_settings(config_dir(), os.environ)
    if not is_listening(settings.host, settings.port):
        sys.stderr.write(
            f"ccproxy: nothing listens at {settings.proxy_url}; start the proxy with: ccproxy"
            " start\n"
        )
    variables = proxy_variables(settings, os.environ)
    if not is_loopback(settings.host):
        from jail.run_token import run_token, with_token

        variables |= with_token(os.environ, run_token(config_dir()))
    return _become(command, {**os.environ, **variables})


def split_options(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Split our own options from the command, which begins at the first other word."""
    ours = (*_INSPECT, "-h", "--help")
    end = 0
    while end < len(arguments) and arguments[end] in ours:
        end += 1
    command = arguments[end:]
    if command[:1] == ["--"]:
        command = command[1:]
    return arguments[:end], command


def proxy_variables(settings: ServerSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that point SDKs at the proxy.

    OpenAI's want /v1 in the base URL, the others do not.
    """
    url = settings.proxy_url
    variables = {
        "ANTHROPIC_BASE_URL": url,
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_BASE": f"{url}/v1",
        "GOOGLE_GEMINI_BASE_URL": url,
    }
    if any(environ.get(name) for name in _PROXY_VARIABLES):
        # Otherwise the SDK would ask the company's proxy for our loopback address.
        for name in ("NO_PROXY", "no_proxy"):
            variables[name] = ",".join(filter(None, (environ.get(name), "127.0.0.1", "localhost")))
    return variables


def _become(command: list[str], environ: dict[str, str]) -> int:
    """Replace this process. Return 127 if there is no such command, 126 if it cannot be run."""
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores these, and a child would inherit that: `ccproxy run -- yes | head` must end as
    # `yes | head` does.
    before = {
        number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGPIPE, signal.SIGXFSZ)
    }
    try:
        _exec(command, environ)
    except FileNotFoundError:
        return _fail(_missing(command[0]), 127)
    except OSError as exc:
        return _fail(f"cannot run {command[0]}: {exc.strerror}", 126)
    except ValueError as exc:
        return _fail(f"cannot run this command: {exc}", 126)
    finally:
        # It was not replaced. With SIGPIPE's default, one closed socket would end it silently.
        for number, handler in before.items():
            signal.signal(number, handler)


def _exec(command: list[str], environ: dict[str, str]) -> NoReturn:
    os.execvpe(command[0], command, environ)  # noqa: S606  # running the user's command is the purpose


def _missing(name: str) -> str:
    if "/" in name and Path(name).exists():
        return f"cannot run {name}: its interpreter does not exist"
    if name.startswith("-"):
        return f"there is no option {name}; {name_hint(name, _OPTIONS)}"
    where = "" if "/" in name else " on PATH"
    return f"there is no command “{name}”{where}"


def _fail(sentence: str, code: int = 1) -> int:
    sys.stderr.write(f"ccproxy: {sentence}\n")
    return code
