"""`ccproxy setkey` and `ccproxy clienttoken`."""

from __future__ import annotations

import hashlib
import io
import re

import pytest
from django.core.management import CommandError, call_command

from tests.cli.test_init import query
from tests.rows import make_provider

KEY = "sk-canary-1234567890"


def piped(text: str) -> io.TextIOWrapper:
    """Standard input of a command in this process."""
    return io.TextIOWrapper(io.BytesIO(text.encode()))


def test_a_key_is_stored_encrypted(ccproxy):
    done = ccproxy("setkey", "openai", stdin=f"{KEY}\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Stored the key of openai ({len(KEY)} characters), encrypted.\n"
    assert query(ccproxy, "select auth_type from providers_provider where name='openai'") == [
        ("key",)
    ]
    for path in ccproxy.directory.iterdir():
        assert KEY.encode() not in path.read_bytes(), path
    assert (ccproxy.directory / "secret.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "stdin", "message"),
    [
        ("opnai", KEY, "there is no provider “opnai”; did you mean openai?"),
        ("openai", "", "no key on standard input"),
        ("openai", "two words", "that is no API key"),
        ("openai", "a\nb", "that is no API key"),
        ("openai", "x" * 20_000, "that is no API key"),
    ],
)
def test_what_is_no_key(filled_database, monkeypatch, name, stdin, message):
    make_provider("openai")
    monkeypatch.setattr("sys.stdin", piped(stdin))
    with pytest.raises(CommandError, match=f"^{re.escape(message)}"):
        call_command("setkey", name)


def test_a_refusal_is_one_line(ccproxy):
    done = ccproxy("setkey", "openai", stdin="two words")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ccproxy: that is no API key")
    assert done.stderr.count("\n") == 1


def test_a_client_token(ccproxy):
    token = ccproxy("clienttoken", "add", "laptop").stdout.strip()
    stored = query(ccproxy, "select name, token_sha256 from interceptor_clienttoken")
    assert stored == [("laptop", hashlib.sha256(token.encode()).hexdigest())]
    assert "already exists" in ccproxy("clienttoken", "add", "laptop").stderr
    assert ccproxy("clienttoken", "list").stdout.startswith("laptop  since ")
    assert ccproxy("clienttoken", "remove", "laptop").returncode == 0
    assert ccproxy("clienttoken", "remove", "laptop").returncode == 1
    assert "There are no client tokens" in ccproxy("clienttoken", "list").stderr
