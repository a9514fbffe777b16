"""`ccproxy setkey` and `importconfig` with keys that no header can carry."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from tests.cli.test_keys_and_tokens import piped
from tests.rows import make_provider

KEY = "sk-canary-1234567890"


@pytest.mark.parametrize("stdin", ["SETKéY-1234567890", "KEY\x01-1234567890", "KEY-1\rKEY-2345678"])
def test_a_key_that_no_header_carries_is_refused(filled_database, monkeypatch, stdin):
    make_provider("openai")
    monkeypatch.setattr("sys.stdin", piped(stdin))
    with pytest.raises(CommandError, match=r"^that is no API key: it has ") as refusal:
        call_command("setkey", "openai")
    assert "1234567890" not in str(refusal.value)


def test_a_refusal_does_not_repeat_the_key(ccproxy):
    done = ccproxy("setkey", "openai", stdin="SETKéY-1234567890")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ccproxy: that is no API key: it has ")
    assert "1234567890" not in done.stderr


def test_a_byte_order_mark_is_taken_off(ccproxy):
    done = ccproxy("setkey", "openai", stdin=f"\ufeff{KEY}\r\n")
    assert done.stdout == f"Stored the key of openai ({len(KEY)} characters), encrypted.\n"


def test_an_imported_key_is_checked_too(ccproxy, tmp_path):
    path = tmp_path / "more.yaml"
    text = "providers:\n  mine:\n    {type: openai, host: api.test, auth: {type: key, key: %s}}\n"
    path.write_text(text % '"KÉY-1234567890"')
    path.chmod(0o600)
    done = ccproxy("importconfig", str(path))
    assert done.returncode == 1 and "plain ASCII" in done.stderr
    assert "1234567890" not in done.stderr
    path.write_text(text % f'"\\ufeff{KEY}"')
    assert ccproxy("importconfig", str(path)).returncode == 0


@pytest.mark.parametrize("stdin", ["sk-ccproxy-openai", "sk-ant-api03-ccproxy-openai"])
def test_a_sentinel_is_no_provider_s_key(ccproxy, stdin):
    done = ccproxy("setkey", "openai", stdin=stdin)
    assert (done.returncode, done.stdout) == (1, "")
    assert "that is a sentinel key, which clients send to ccproxy" in done.stderr
