"""Clients of `ccproxy clients` as a test runs them: one prompt, a key, and what keeps them quiet.

Programs come from the folders of `CCPROXY_TEST_REAL_CLIENTS`, separated by `:`. A folder has
`node_modules/.bin`, or virtual environments `venv-NAME`. Some clients need a newer Node than the
system's; it may come from the npm package `node` in a folder.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CLIENT_TIMEOUT_S = 480
HEADERS = {"anthropic": "x-api-key", "google": "x-goog-api-key"}
"""Header of a provider's key where it is not `authorization`."""
HOSTS = {
    "anthropic": "api.anthropic.com",
    "openai": "api.openai.com",
    "google": "generativelanguage.googleapis.com",
    "xai": "api.x.ai",
    "moonshot": "api.moonshot.ai",
    "mistral": "api.mistral.ai",
}
"""Provider to host."""
OWN = {
    "anthropic": "sk-ant-api03-own-58e1c2d4b6a79f30",
    "openai": "sk-own-58e1c2d4b6a79f30",
    "google": "AIzaSyOwn58e1c2d4b6a79f30aabbccddeeff00",
    "xai": "xai-own-58e1c2d4b6a79f30",
    "moonshot": "sk-own-moonshot-58e1c2d4b6a79f30",
    "mistral": "own-mistral-58e1c2d4b6a79f30",
}
"""The user's own key of each provider; no vendor made it."""
STORED = {name: f"stored-{name}-1a5c8e3f7b9d2064" for name in HOSTS}
"""The key that ccproxy holds for each provider."""
QUIET_CODEX = ("analytics.enabled", "check_for_update_on_startup", "features.plugins")
PROMPT = "Say hello."


def sentinel(provider: str) -> str:
    """The sentinel key of a provider, in the form that the vendor's clients accept."""
    return (
        f"sk-ant-api03-ccproxy-{provider}" if provider == "anthropic" else f"sk-ccproxy-{provider}"
    )


@dataclass(frozen=True)
class Case:
    """A client, its words for one prompt, and the provider that it calls."""

    provider: str
    key: str
    """The variable of its key; "" where the key is in its settings."""
    words: tuple[str, ...]
    """`KEY` stands for the key."""
    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, object] = field(default_factory=dict)
    """Files below the home to their content; `KEY` in a content stands for the key."""
    asks_for_tokens: bool = True
    """OpenAI's streams report tokens to those who ask for them."""


_QUIET = {"usageStatisticsEnabled": False}


def _settings(auth: str) -> dict[str, object]:
    return {"security": {"auth": {"selectedType": auth}}, "privacy": _QUIET}


def _codex_words() -> tuple[str, ...]:
    words = ["exec", "--skip-git-repo-check", "-m", "gpt-5.2"]
    for setting in QUIET_CODEX:
        words += ["-c", f"{setting}=false"]
    return (*words, PROMPT)


def _mini_words() -> tuple[str, ...]:
    """mini asks again until it is told to end; the scripted provider never tells it."""
    words = ["-m", "anthropic/claude-haiku-4-5", "-y", "--exit-immediately", "-t", PROMPT]
    for setting in ("mini.yaml", "agent.step_limit=2"):
        words += ["-c", setting]
    return tuple(words)


_MINI = {
    "MSWEA_CONFIGURED": "true",
    "MSWEA_COST_TRACKING": "ignore_errors",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
_KIMI = """
default_model = "k"
[providers.kimi]
type = "kimi"
base_url = "https://api.moonshot.ai/v1"
api_key = "KEY"
[models.k]
provider = "kimi"
model = "kimi-k2-0905-preview"
max_context_size = 262144
"""
_CONTINUE = {
    "name": "x",
    "version": "1.0.0",
    "schema": "v1",
    "models": [
        {"name": "c", "provider": "anthropic", "model": "claude-haiku-4-5", "apiKey": "KEY"}
    ],
}
CASES = {
    "claude": Case(
        "anthropic",
        "ANTHROPIC_API_KEY",
        ("-p", PROMPT, "--model", "haiku"),
        {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
    ),
    "codex": Case("openai", "CODEX_API_KEY", _codex_words()),
    "gemini": Case(
        "google",
        "GEMINI_API_KEY",
        ("-p", PROMPT, "-m", "gemini-2.5-flash", "--approval-mode", "yolo"),
        {"GEMINI_CLI_TRUST_WORKSPACE": "true"},
        {".gemini/settings.json": {"privacy": _QUIET}},
    ),
    "opencode": Case(
        "anthropic",
        "ANTHROPIC_API_KEY",
        ("run", PROMPT, "-m", "anthropic/claude-haiku-4-5"),
        {"OPENCODE_DISABLE_MODELS_FETCH": "1"},
    ),
    "aider": Case(
        "anthropic",
        "ANTHROPIC_API_KEY",
        (
            "--model",
            "anthropic/claude-haiku-4-5",
            "--no-git",
            "--yes",
            "--no-check-update",
            "--analytics-disable",
            "--message",
            PROMPT,
        ),
        {"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    ),
    "kilo": Case(
        "anthropic",
        "ANTHROPIC_API_KEY",
        ("run", PROMPT, "-m", "anthropic/claude-haiku-4-5"),
        {"KILO_DISABLE_MODELS_FETCH": "1", "KILO_DISABLE_AUTOUPDATE": "1"},
    ),
    "llm": Case("openai", "OPENAI_API_KEY", ("-m", "gpt-4o-mini", PROMPT)),
    "sgpt": Case(
        "openai",
        "OPENAI_API_KEY",
        ("--no-cache", "--no-interaction", PROMPT),
        {"DEFAULT_MODEL": "gpt-4o-mini"},
        asks_for_tokens=False,
    ),
    "gptme": Case(
        "anthropic",
        "ANTHROPIC_API_KEY",
        ("--non-interactive", "--no-confirm", "-m", "anthropic/claude-haiku-4-5", PROMPT),
    ),
    "mini": Case("anthropic", "ANTHROPIC_API_KEY", _mini_words(), _MINI),
    "clai": Case(
        "anthropic",
        "ANTHROPIC_API_KEY",
        ("-m", "anthropic:claude-haiku-4-5", "--no-stream", PROMPT),
    ),
    "pi": Case(
        "anthropic",
        "ANTHROPIC_API_KEY",
        ("-p", PROMPT, "--provider", "anthropic", "--model", "claude-haiku-4-5"),
        {"PI_OFFLINE": "1"},
    ),
    "qwen": Case(
        "openai",
        "OPENAI_API_KEY",
        ("-p", PROMPT),
        {"OPENAI_MODEL": "gpt-5.2", "OPENAI_BASE_URL": "https://api.openai.com/v1"},
        {".qwen/settings.json": _settings("openai")},
    ),
    "openhands": Case(
        "anthropic",
        "LLM_API_KEY",
        ("--headless", "--override-with-envs", "-t", PROMPT),
        {"LLM_MODEL": "anthropic/claude-haiku-4-5", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    ),
    "cn": Case("anthropic", "", ("-p", PROMPT), {}, {".continue/config.yaml": _CONTINUE}),
    "grok": Case("xai", "XAI_API_KEY", ("-p", PROMPT, "--always-approve")),
    "copilot": Case(
        "openai",
        "COPILOT_PROVIDER_API_KEY",
        ("-p", PROMPT),
        {
            "COPILOT_PROVIDER_BASE_URL": "https://api.openai.com/v1",
            "COPILOT_PROVIDER_TYPE": "openai",
            "COPILOT_MODEL": "gpt-5.2",
            "COPILOT_OFFLINE": "true",
        },
    ),
    "cline": Case(
        "anthropic",
        "",
        ("-P", "anthropic", "-k", "KEY", "-m", "claude-haiku-4-5", PROMPT),
    ),
    "vibe": Case("mistral", "MISTRAL_API_KEY", ("--trust", "--max-turns", "2", "-p", PROMPT)),
    "kimi": Case("moonshot", "", ("-p", PROMPT), {}, {".kimi-code/config.toml": _KIMI}),
}


def program_of(name: str) -> Path | None:
    """The client's program in one of the folders; None where it is in none."""
    for folder in folders():
        for path in (folder / "node_modules/.bin" / name, folder / f"venv-{name}/bin" / name):
            if path.exists():
                return path
    return None


def search_path(program: Path) -> str:
    """The PATH of a client: its own folder first, then a newer Node's."""
    places = [program.parent, *(folder / "node_modules/.bin" for folder in folders())]
    return os.pathsep.join([*map(str, places), os.environ["PATH"]])


def folders() -> list[Path]:
    """The folders with real clients; 1 asks other tests to install theirs."""
    named = os.environ.get("CCPROXY_TEST_REAL_CLIENTS", "").split(":")
    return [Path(one) for one in named if one not in ("", "1")]


def write_files(home: Path, case: Case, key: str) -> None:
    """Write the client's settings into its home."""
    for name, content in case.files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text.replace("KEY", key))


MARKS = [
    pytest.mark.real_clients,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not folders(), reason="CCPROXY_TEST_REAL_CLIENTS names no folder"),
]
"""Marks of the tests with real clients."""
