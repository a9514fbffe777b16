"""What the record shows of a captured command."""

from __future__ import annotations

import shlex

import pytest

from interceptor.wireguard.command_line import MAX_CHARS, shown_command

SECRET = "abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "words",
    [
        ["curl", "-H", f"x-api-key: {SECRET}"],
        ["curl", "-H", f"Authorization: Bearer {SECRET}"],
        ["curl", "-u", f"user:{SECRET}", "https://a.test"],
        ["curl", f"https://user:{SECRET}@a.test/"],
        ["curl", f"https://a.test/?key={SECRET}&x=1"],
        ["agent", "--api-key", SECRET],
        ["agent", f"--api-key={SECRET}"],
        ["agent", "--auth-token", SECRET],
        ["env", f"ANTHROPIC_API_KEY={SECRET}", "agent"],
        ["env", f"DB_PASSWORD={SECRET}", "agent"],
        ["agent", f"sk-ant-api03-{SECRET}"],
        ["sh", "-c", f"FOO=1 agent ghp_{SECRET} | cat"],
        ["agent", f"sk-ccproxy-good.cct-{SECRET}"],
        ["agent", f"eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.{SECRET}"],
    ],
)
def test_credentials_are_left_out(words: list[str]) -> None:
    shown = shown_command(words)
    assert SECRET not in shown and "left out" in shown and shown.startswith(words[0])


@pytest.mark.parametrize(
    "words",
    [
        ["claude", "--model", "claude-haiku-4-5", "-p", "what is 2+2?"],
        ["curl", "-H", "content-type: application/json", "https://a.test/v1?page=2"],
        ["agent", "--api-key", "sk-ccproxy-anthropic", "--max-tokens", "4096", "--tokenizer", "x"],
        ["python", "-c", "print('a: b')"],
    ],
)
def test_everything_else_stays(words: list[str]) -> None:
    assert shlex.split(shown_command(words)) == words


def test_it_is_bounded() -> None:
    assert len(shown_command(["x" * 100] * 1000)) == MAX_CHARS
