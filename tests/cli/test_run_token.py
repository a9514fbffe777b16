"""`ccproxy run` towards a proxy that other machines can reach: the command gets a client token by
itself.
"""

from __future__ import annotations

import pytest

from interceptor.access.client_access import split_key
from jail.run_token import with_token

PRINT = ["run", "--quiet", "--", "sh", "-c", "echo $ANTHROPIC_API_KEY; echo $OPENAI_API_KEY"]
KEYS = {"ANTHROPIC_API_KEY": "sk-ccproxy-up", "OPENAI_API_KEY": "sk-real-key"}


def test_it_is_made_once_and_put_behind_sentinel_keys(ccproxy, port):
    environ = {"CCPROXY_HOST": "0.0.0.0", "CCPROXY_PORT": port, **KEYS}
    first, second = (ccproxy(*PRINT, **environ) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    key, real = first.stdout.split()
    plain, token = split_key(key)
    assert plain == "sk-ccproxy-up" and token.startswith("cct-") and real == "sk-real-key"
    path = ccproxy.directory / "run-token"
    assert path.read_text().strip() == token and path.stat().st_mode & 0o777 == 0o600
    assert ccproxy("clienttoken", "list").stdout.startswith("run  since")
    assert ccproxy("clienttoken", "remove", "run").returncode == 0
    _, renewed = split_key(ccproxy(*PRINT, **environ).stdout.split()[0])
    assert renewed not in ("", token)


def test_on_loopback_nothing_is_made(ccproxy, port):
    assert ccproxy(*PRINT, **KEYS, CCPROXY_PORT=port).stdout.split() == [
        "sk-ccproxy-up",
        "sk-real-key",
    ]
    assert not (ccproxy.directory / "run-token").exists()


@pytest.mark.parametrize("value", ["", "sk-ant-api03-real", "sk-ccproxy-up.cct-mine"])
def test_what_is_left_alone(value):
    assert with_token({"ANTHROPIC_API_KEY": value}, "cct-new") == {}


def test_a_scope_is_made_and_shown(ccproxy):
    assert ccproxy(
        "clienttoken", "add", "ci", "--provider", "a", "--provider", "b"
    ).stdout.startswith("cct-")
    assert "for a, b" in ccproxy("clienttoken", "list").stdout
