"""THE table of clients: how `ccproxy run` points each at the proxy, or why it cannot. No Django.

An entry was observed with the client's own program in the version that it names; others say that
they were not tried, and only repeat the client's documentation or source. Where a base URL
does not work and the variables of the forward proxy do, `run` uses these. Those that cannot be
pointed anywhere are listed too: the jail captures them all the same.
"""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import PurePath
from typing import Final

from jail.run.base_urls import ALL, ANTHROPIC, GOOGLE, OPENAI
from jail.run.client import UNTRIED, Client, forwarded, jailed
from jail.run.client_settings import (
    KILO,
    OPENCODE,
    codex_arguments,
    gemini_wants_forward,
    goose_variables,
    opencode_variables,
)
from providers.listing.shell_table import print_table

HELP: Final = """\
usage: ccproxy clients

List the clients that ccproxy run knows, which are installed here, and how each is seen.
"""

_HEADINGS: Final = ("Client", "Tried", "Here", "Start it with", "How it is seen")
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
        arguments=codex_arguments,
    ),
    Client(
        "Gemini CLI",
        "gemini",
        (GOOGLE,),
        "by HTTPS_PROXY, or a base URL where its settings select an API key",
        "0.61.0",
        elsewhere=("GOOGLE_GENAI_USE_VERTEXAI",),
        wants_forward=gemini_wants_forward,
        hosts=("cloudcode-pa.googleapis.com",),
    ),
    Client(
        "opencode",
        "opencode",
        ALL,
        "providers anthropic, openai and google; others pass by, and the jail shows them",
        "1.18.33",
        variables=opencode_variables,
        elsewhere=(OPENCODE,),
    ),
    Client(
        "Kilo Code",
        "kilo",
        ALL,
        "as opencode, from which it was made",
        "7.7.9",
        variables=partial(opencode_variables, name=KILO),
        elsewhere=(KILO,),
    ),
    Client("aider", "aider", ALL, "models of Anthropic, OpenAI and Google", "0.86.2"),
    Client("llm", "llm", (ANTHROPIC, OPENAI), "the plug-in llm-gemini takes no base URL", "0.36"),
    Client(
        "ShellGPT",
        "sgpt",
        (OPENAI,),
        "with models of OpenAI, and without LiteLLM",
        "1.5.1",
        elsewhere=("API_BASE_URL",),
    ),
    Client(
        "gptme",
        "gptme",
        (ANTHROPIC, OPENAI),
        "models of Anthropic and OpenAI; others have fixed hosts, which --forward shows",
        "0.35.1",
        elsewhere=("LLM_PROXY_URL",),
    ),
    Client("mini-SWE-agent", "mini", ALL, "models of Anthropic, OpenAI and Google", "2.4.6"),
    Client("clai", "clai", ALL, "the command line of Pydantic AI", "2.62.0"),
    forwarded("pi", "pi", "1.6.0", f"by HTTPS_PROXY: {_FILE}"),
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
    jailed(
        "Nanocoder",
        "nanocoder",
        "1.30.0",
        "its base URL is in a settings file of yours, and it ignores HTTPS_PROXY",
    ),
    forwarded("OpenHands", "openhands", "1.16.0", "by HTTPS_PROXY: its key may be for any host"),
    forwarded("Continue", "cn", "1.5.47", f"by HTTPS_PROXY: {_FILE}"),
    forwarded(
        "Grok Build",
        "grok",
        "1.0.41",
        "by HTTPS_PROXY, tried with XAI_API_KEY; a login was not tried",
        ("api.x.ai", "cli-chat-proxy.grok.com"),
    ),
    forwarded(
        "Amp",
        "amp",
        "0.0.1790142911",
        f"by HTTPS_PROXY: it talks to ampcode.com alone; {_FIRST}",
        ("ampcode.com",),
    ),
    forwarded(
        "Droid",
        "droid",
        "0.215.0",
        f"by HTTPS_PROXY: it asks factory.ai for its models; {_FIRST}",
        ("*.factory.ai",),
    ),
    forwarded(
        "Auggie",
        "auggie",
        "0.36.0",
        f"by HTTPS_PROXY: it talks to augmentcode.com alone; {_FIRST}",
        ("*.augmentcode.com",),
    ),
    forwarded("Cline", "cline", "3.0.65", f"by HTTPS_PROXY: {_FILE}"),
    forwarded("Mistral Vibe", "vibe", "3.0.2", f"by HTTPS_PROXY: {_FILE}", ("api.mistral.ai",)),
    forwarded(
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
        variables=goose_variables,
        elsewhere=tuple(f"{vendor.provider.upper()}_HOST" for vendor in ALL),
    ),
    forwarded(
        "Kimi Code",
        "kimi",
        "2.1.0",
        f"by HTTPS_PROXY: {_FILE}",
        ("api.kimi.com", "api.moonshot.ai", "api.moonshot.cn"),
    ),
    jailed(
        "Cursor CLI",
        "cursor-agent",
        UNTRIED,
        "its documentation has HTTPS_PROXY: ccproxy run --forward --all",
    ),
    forwarded(
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
    print_table(_HEADINGS, map(_row, CLIENTS), sys.stdout, wrapped=_HEADINGS[-2:])
    return 0


def _row(client: Client) -> tuple[str, ...]:
    command = "run" if client.vendors or client.forward else "jail"
    is_here = "installed" if shutil.which(client.program) else "–"
    start = f"ccproxy {command} -- {client.program}"
    return client.title, client.version, is_here, start, client.note
