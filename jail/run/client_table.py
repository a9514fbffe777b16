"""THE table of clients: how `ccproxy run` points each at the proxy, or why it cannot. No Django.

An entry was observed with the client's own program in the version that it names; others say that
they were not tried, and only repeat the client's documentation or source. Where a base URL
does not work and the variables of the forward proxy do, `run` uses these. Those that cannot be
pointed anywhere are listed too: the jail captures them all the same.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from jail.run.base_urls import ALL, ANTHROPIC, GOOGLE, OPENAI, Route, Vendor, kept_urls

_OPENCODE: Final = "OPENCODE_CONFIG_CONTENT"
# The file may have comments, so it is not read as JSON.
_API_KEY_SELECTED: Final = re.compile(r'"selected(Auth)?Type"\s*:\s*"gemini-api-key"')
HELP: Final = """\
usage: ccproxy clients

List the clients that ccproxy run knows, which are installed here, and how each is seen.
"""


def _nothing(route: Route, environ: Mapping[str, str]) -> list[str]:
    del route, environ
    return []


def _never(environ: Mapping[str, str]) -> bool:
    del environ
    return False


def _no_variables(route: Route, environ: Mapping[str, str]) -> dict[str, str]:
    del route, environ
    return {}


def _codex_arguments(route: Route, environ: Mapping[str, str]) -> list[str]:
    """Codex ignores OPENAI_BASE_URL and takes the setting; the value is TOML."""
    url = f"{route.base_url(OPENAI, environ)}/v1"
    return ["-c", f"openai_base_url={json.dumps(url)}"]


def _opencode_variables(route: Route, environ: Mapping[str, str]) -> dict[str, str]:
    """opencode merges this text over the user's settings; it writes no file."""
    if environ.get(_OPENCODE):
        return {}
    ends = ((ANTHROPIC, "/v1"), (OPENAI, "/v1"), (GOOGLE, "/v1beta"))
    providers = {}
    for vendor, end in ends:
        if not kept_urls(route, environ, (vendor,)):
            url = route.base_url(vendor, environ) + end
            providers[vendor.provider] = {"options": {"baseURL": url}}
    return {_OPENCODE: json.dumps({"provider": providers})}


def _gemini_wants_forward(environ: Mapping[str, str]) -> bool:
    """Return True unless the user's settings select an API key.

    Without that, a base URL makes Gemini CLI refuse to start: it takes it for a gateway's.
    """
    home = environ.get("GEMINI_CLI_HOME") or environ.get("HOME") or str(Path.home())
    try:
        text = Path(home, ".gemini", "settings.json").read_text(errors="replace")
    except OSError:
        return True
    return _API_KEY_SELECTED.search(text) is None


def _goose_variables(route: Route, environ: Mapping[str, str]) -> dict[str, str]:
    """goose reads hosts of its own, which may have a path; a host that the user set stays."""
    variables = {}
    for vendor in ALL:
        name = f"{vendor.provider.upper()}_HOST"
        if not environ.get(name) and not kept_urls(route, environ, (vendor,)):
            variables[name] = route.base_url(vendor, environ)
    return variables


@dataclass(frozen=True, slots=True)
class Client:
    """A client: its program, the vendors whose base URLs it reads, and what it needs."""

    title: str
    program: str
    vendors: tuple[Vendor, ...]
    note: str
    version: str
    """The version that was observed, or `UNTRIED`."""
    arguments: Callable[[Route, Mapping[str, str]], list[str]] = _nothing
    """Arguments that stand in front of the user's own."""
    variables: Callable[[Route, Mapping[str, str]], dict[str, str]] = _no_variables
    elsewhere: tuple[str, ...] = ()
    """Variables of the user by which it leaves the vendor's own host, and so the proxy."""
    forward: bool = False
    """It has no base URL, but reads the variables of the forward proxy."""
    wants_forward: Callable[[Mapping[str, str]], bool] = _never
    """Its base URL does not work with this user's settings."""
    hosts: tuple[str, ...] = ()
    """Hosts of its own service, which the forward proxy reads."""
    sentinels: tuple[Vendor, ...] = ()
    """Vendors whose base URL it reads, although its own key may be for any host."""

    def doubt(self, environ: Mapping[str, str]) -> str:
        """Return why its requests will not come through; "" where nothing is known against it."""
        if not self.vendors:
            return f"{self.title} cannot be pointed at the proxy: {self.note}"
        used = next((name for name in self.elsewhere if environ.get(name)), "")
        if used:
            return f"{used} sends {self.title} to another host"
        if self.wants_forward(environ):
            return f"{self.title} refuses a base URL until its settings select an API key"
        return ""


def _jailed(title: str, program: str, version: str, note: str) -> Client:
    return Client(title, program, (), note, version)


def _forwarded(
    title: str, program: str, version: str, note: str, hosts: tuple[str, ...] = ()
) -> Client:
    return Client(title, program, (), note, version, forward=True, hosts=hosts)


UNTRIED: Final = "not tried"
"""Version of a client that could not be installed where the table was made."""
_FIRST: Final = "tried up to its first requests"
_FILE: Final = "its base URL is in a settings file of yours, which ccproxy does not edit"
CLIENTS: Final = (
    Client(
        "Claude Code",
        "claude",
        (ANTHROPIC,),
        "its telemetry goes to api.anthropic.com directly; the jail shows that too",
        "2.1.332",
        elsewhere=("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"),
    ),
    Client(
        "Codex",
        "codex",
        (OPENAI,),
        "with an API key; a ChatGPT login talks to chatgpt.com, which the jail shows",
        "0.171.0",
        arguments=_codex_arguments,
    ),
    Client(
        "Gemini CLI",
        "gemini",
        (GOOGLE,),
        "by HTTPS_PROXY, or a base URL where its settings select an API key",
        "0.61.0",
        elsewhere=("GOOGLE_GENAI_USE_VERTEXAI",),
        wants_forward=_gemini_wants_forward,
        hosts=("cloudcode-pa.googleapis.com",),
    ),
    Client(
        "opencode",
        "opencode",
        ALL,
        "providers anthropic, openai and google; others pass by, and the jail shows them",
        "1.18.33",
        variables=_opencode_variables,
        elsewhere=(_OPENCODE,),
    ),
    Client("aider", "aider", ALL, "models of Anthropic, OpenAI and Google", "0.86.2"),
    Client("llm", "llm", (ANTHROPIC, OPENAI), "the plug-in llm-gemini takes no base URL", "0.36"),
    _forwarded("pi", "pi", "1.6.0", f"by HTTPS_PROXY: {_FILE}"),
    Client(
        "Qwen Code",
        "qwen",
        (),
        "by HTTPS_PROXY: its key is for the host that OPENAI_BASE_URL or its settings name",
        "0.24.4",
        forward=True,
        hosts=("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com", "portal.qwen.ai"),
        sentinels=(OPENAI,),
    ),
    _forwarded("Continue", "cn", "1.5.47", f"by HTTPS_PROXY: {_FILE}"),
    _forwarded(
        "Grok Build",
        "grok",
        "1.0.41",
        "by HTTPS_PROXY, tried with XAI_API_KEY; a login was not tried",
        ("api.x.ai", "cli-chat-proxy.grok.com"),
    ),
    _forwarded(
        "Amp",
        "amp",
        "0.0.1790142911",
        f"by HTTPS_PROXY: it talks to ampcode.com alone; {_FIRST}",
        ("ampcode.com",),
    ),
    _forwarded(
        "Droid",
        "droid",
        "0.215.0",
        f"by HTTPS_PROXY: it asks factory.ai for its models; {_FIRST}",
        ("*.factory.ai",),
    ),
    _forwarded(
        "Auggie",
        "auggie",
        "0.36.0",
        f"by HTTPS_PROXY: it talks to augmentcode.com alone; {_FIRST}",
        ("*.augmentcode.com",),
    ),
    _forwarded("Cline", "cline", "3.0.65", f"by HTTPS_PROXY: {_FILE}"),
    _forwarded("Mistral Vibe", "vibe", "3.0.2", f"by HTTPS_PROXY: {_FILE}", ("api.mistral.ai",)),
    _forwarded(
        "GitHub Copilot",
        "copilot",
        "1.0.102",
        "by HTTPS_PROXY, tried with COPILOT_PROVIDER_BASE_URL; a GitHub login was not tried",
        ("*.githubcopilot.com",),
    ),
    Client(
        "goose",
        "goose",
        ALL,
        "by OPENAI_HOST, ANTHROPIC_HOST and GOOGLE_HOST, as its documentation has it",
        UNTRIED,
        variables=_goose_variables,
        elsewhere=tuple(f"{vendor.provider.upper()}_HOST" for vendor in ALL),
    ),
    _forwarded(
        "Kimi Code",
        "kimi",
        "2.1.0",
        f"by HTTPS_PROXY: {_FILE}",
        ("api.kimi.com", "api.moonshot.ai", "api.moonshot.cn"),
    ),
    _jailed(
        "Cursor CLI",
        "cursor-agent",
        UNTRIED,
        "its documentation has HTTPS_PROXY: ccproxy run --forward --all",
    ),
    _forwarded(
        "Crush",
        "crush",
        UNTRIED,
        "by HTTPS_PROXY, as Go programs read it; its installer needs GitHub",
    ),
)


def client_of(command: str) -> Client | None:
    """Return the client that a command's first word starts; None for all other programs."""
    name = PurePath(command).name
    return next((client for client in CLIENTS if name == client.program), None)


def main(arguments: list[str]) -> int:
    """Print the table."""
    if arguments:
        is_help = arguments[0] in ("-h", "--help")
        (sys.stdout if is_help else sys.stderr).write(HELP)
        return 0 if is_help else 2
    for client in CLIENTS:
        command = "run" if client.vendors or client.forward else "jail"
        way = f"ccproxy {command} -- {client.program}"
        installed = "installed" if shutil.which(client.program) else "-"
        row = f"{client.title:<16}{client.version:<15}{installed:<11}{way:<33}{client.note}"
        sys.stdout.write(f"{row}\n")
    return 0
