"""Sessions of the vendors' own programs, which the pictures of docs/guides show.

Each program asks one question in a small shop's folder, by `ccproxy run`. A scripted provider stands
behind the vendors' names: it looks for a word with the program's own shell, and answers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interceptor.demo import anthropic, google, openai_chat, openai_responses
from interceptor.demo.script import Asked, ToolCall, Turn, example_of
from tests.calls import CCPROXY
from tests.e2e.client_cases import HOSTS, OWN, QUIET_CODEX, program_of, search_path
from tests.e2e.process import Interceptor
from tests.fakes.certificates import make_authority
from tests.fakes.upstream import Script, Seen, Upstream

QUESTION = "Why is the total wrong when a cart has a voucher?"
COMMAND = "grep -n voucher shop/*.py"
LOOKS = "I will look for the voucher first."
ANSWER = (
    "total() in shop/cart.py takes voucher.percent off as if it were an amount of cents. A voucher"
    " of 10 percent on 80.00 takes off 10 cents instead of 8.00."
)
TITLE = "Wrong total with a voucher"
SHOP = '''\
def total(cart):
    """Sum of the lines, in cents."""
    amount = sum(line.price * line.count for line in cart.lines)
    if cart.voucher:
        amount -= cart.voucher.percent
    return amount
'''
_SHELLS = re.compile(r"Bash|bash|shell|exec_command|shell_command|run_shell_command")
_TIMEOUT_S = 240
_FORMATS = (anthropic, google, openai_chat, openai_responses)


@dataclass(frozen=True)
class Agent:
    """A program, its words for one question, the variable of its key, and its provider."""

    program: str
    provider: str
    key: str
    words: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()


def _codex_words() -> tuple[str, ...]:
    words = ["exec", "--skip-git-repo-check", "-m", "gpt-5.2"]
    for setting in QUIET_CODEX:
        words += ["-c", f"{setting}=false"]
    return (*words, "--dangerously-bypass-approvals-and-sandbox", QUESTION)


AGENTS = (
    Agent(
        "claude",
        "anthropic",
        "ANTHROPIC_API_KEY",
        ("-p", QUESTION, "--model", "haiku", "--allowedTools", "Bash"),
        (("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),),
    ),
    Agent("codex", "openai", "CODEX_API_KEY", _codex_words()),
    Agent(
        "gemini",
        "google",
        "GEMINI_API_KEY",
        ("-p", QUESTION, "-m", "gemini-2.5-flash", "--approval-mode", "yolo"),
        (("GEMINI_CLI_TRUST_WORKSPACE", "true"),),
    ),
    Agent(
        "opencode",
        "anthropic",
        "ANTHROPIC_API_KEY",
        ("run", QUESTION, "-m", "anthropic/claude-haiku-4-5"),
        (("OPENCODE_DISABLE_MODELS_FETCH", "1"),),
    ),
    Agent(
        "aider",
        "anthropic",
        "ANTHROPIC_API_KEY",
        (
            "--model", "anthropic/claude-haiku-4-5", "--no-git", "--yes", "--no-check-update",
            "--analytics-disable", "--message", QUESTION, "shop/cart.py",
        ),
        (("LITELLM_LOCAL_MODEL_COST_MAP", "True"),),
    ),
)  # fmt: skip


def installed_agents() -> list[Agent]:
    """The agents whose programs are in the folders of CCPROXY_TEST_REAL_CLIENTS."""
    return [agent for agent in AGENTS if program_of(agent.program)]


@contextlib.contextmanager
def vendors(folder: Path) -> Iterator[dict[str, str]]:
    """Serve all vendors' names; yield the settings by which an interceptor reaches them."""
    authority = make_authority(folder, *HOSTS.values())
    for module in _FORMATS:
        vars(module)["play"] = _MODEL.play
    with Upstream(authority.server_context(["http/1.1"])) as vendor:
        vendor.scripts["/v1/responses"] = lambda seen: _responses(vendor, seen)
        at = f"127.0.0.1:{vendor.port}"
        yield {
            "CCPROXY_INSPECTOR__UPSTREAM_OVERRIDES": json.dumps(dict.fromkeys(HOSTS.values(), at)),
            "CCPROXY_INSPECTOR__MITMPROXY__SSL_VERIFY_UPSTREAM_TRUSTED_CA": str(authority.ca_file),
            # As on a machine that trusts its company's authority.
            "SSL_CERT_FILE": str(authority.ca_file),
        }


def run_agent(agent: Agent, site: Interceptor) -> str:
    """Let an agent answer the question in a new home; return the name of its run."""
    program = program_of(agent.program)
    assert program is not None
    _MODEL.has_looked = False
    home = Path(tempfile.mkdtemp(prefix="shop-"))
    (home / "shop").mkdir()
    (home / "shop/cart.py").write_text(SHOP)
    # Gemini CLI's own statistics are no part of the session.
    (home / ".gemini").mkdir()
    (home / ".gemini/settings.json").write_text('{"privacy": {"usageStatisticsEnabled": false}}')
    environ = site.environ | dict(agent.variables)
    environ |= {"PATH": search_path(program), "HOME": str(home), agent.key: OWN[agent.provider]}
    environ["PWD"] = str(home)
    done = subprocess.run(
        [*CCPROXY, "run", "--", agent.program, *agent.words],
        cwd=home,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    found = re.search(r"\?run=([\w-]+)", done.stderr)
    assert done.returncode == 0 and found, done.stdout + done.stderr
    return found[1]


def _responses(vendor: Upstream, seen: Seen) -> Script:
    """Codex asks over a websocket: each message is a request, each event of its answer one too."""
    if seen.method == "GET":
        return Script(status=101, talk=_events)
    return vendor.scripted_answer(seen)


def _events(message: str) -> list[str]:
    request = json.loads(message)
    asked = openai_responses.read(request)
    if request.get("generate") is False:
        # It sends its prompt ahead of the question, and wants no text for that.
        events = openai_responses.events(_turn(asked, None), asked.model)
        turns = [events[0], events[-1] | {"sequence_number": 1}]
        turns[1]["response"]["output"] = []
        return [json.dumps(event) for event in turns]
    turn = _MODEL.play(asked)
    return [json.dumps(event) for event in openai_responses.events(turn, asked.model)]


@dataclass
class _Model:
    """A model that knows the shop. It looks once: some agents put words behind a tool's result."""

    has_looked: bool = False

    def play(self, asked: Asked) -> Turn:
        """Return the model's turn."""
        shell = next((tool for tool in asked.tools if _SHELLS.fullmatch(tool[0])), None)
        looks = shell is not None and not self.has_looked
        self.has_looked |= looks
        return _turn(asked, shell if looks else None)


_MODEL = _Model()


def _turn(asked: Asked, shell: tuple[str, dict[str, Any]] | None) -> Turn:
    key = hashlib.blake2b(f"{asked}".encode(), digest_size=8).hexdigest()
    call = ToolCall(f"call{key}", shell[0], _arguments(shell[1])) if shell else None
    # Agents ask for a title too, in a request whose last words say so.
    text = LOOKS if call else TITLE if "title" in asked.text.lower() else ANSWER
    return Turn(
        id=key,
        pieces=tuple(re.findall(r"\S+\s*", text)),
        call=call,
        input_tokens=max(1, asked.size_chars // 4),
        output_tokens=max(1, len(text) // 4) + (8 if call else 0),
    )


def _arguments(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a shell's tool that search for the word."""
    arguments = dict(example_of(schema, "Look for the voucher"))
    properties = schema.get("properties") or {}
    for name in ("command", "cmd"):
        kind = str(properties.get(name, {}).get("type", "")).lower()
        if kind:
            arguments[name] = ["bash", "-lc", COMMAND] if kind == "array" else COMMAND
    return arguments
