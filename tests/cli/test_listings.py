"""Commands that list what the console shows: providers, rules, usage, API tokens; and the doctor."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from rest_framework.authtoken.models import Token

from ccproxy_site.cli import _product, manage
from ccproxy_site.console.api_tokens import token_digest
from ccproxy_site.doctor import machine_checks, stored_checks
from ccproxy_site.management.commands import openconsole
from flows.models import UsageDaily
from interceptor.operate.findings import Level
from interceptor.operate.ports import check_port_free
from providers.base.errors import CcproxyError, ConfigError
from tests.rows import make_flow, make_provider, make_rule, make_status

pytestmark = pytest.mark.django_db


def shown(*words: str, **options: Any) -> str:
    out = StringIO()
    call_command(*words, stdout=out, **options)
    return out.getvalue()


def test_providers_name_the_state_and_what_mends_it():
    make_provider("good", auth_type="key", secret="sk-not-to-be-shown", host="a.example")
    make_provider("empty", auth_type="key", secret="", host="b.example")
    table = shown("providers")
    lines = {line.split()[0]: line for line in table.splitlines()}
    assert "stored" in lines["good"]
    assert "ccproxy setkey" not in lines["good"]
    assert "not set" in lines["empty"]
    assert "ccproxy setkey empty" in lines["empty"]
    values = {row["name"]: row for row in json.loads(shown("providers", "--json"))}
    assert (values["empty"]["is_bad"], values["empty"]["fix"]) == (True, "ccproxy setkey empty")
    assert values["good"]["address"].startswith("https://a.example")
    assert "not-to-be-shown" not in table + json.dumps(values)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch):
    row = make_provider(auth_type="command", auth_config={"command": "printenv CC_KEY"})
    monkeypatch.delenv("CC_KEY", raising=False)
    assert "CC_KEY is not set" in shown("providers")
    values = json.loads(shown("providers", "--json"))[0]
    assert values["state"] == "CC_KEY is not set"
    assert values["fix"].endswith(f"ccproxy setkey {row.name}")
    [finding] = stored_checks.credentials()
    assert (finding.level, finding.text) == (Level.NOTE, "CC_KEY is not set")
    monkeypatch.setenv("CC_KEY", "k")
    assert "read when needed" in shown("providers")
    [finding] = stored_checks.credentials()
    assert (finding.level, finding.text) == (Level.OK, "read when needed")


@pytest.mark.parametrize("refresh", ["", "refresh-0123456789"])
def test_the_doctor_names_a_login_that_cannot_be_renewed(tmp_path: Path, refresh: str):
    expires_at = datetime(2100, 1, 2, 3, 4, tzinfo=UTC)
    file = tmp_path / "login.json"
    login = {"access_token": "access-0123456789", "expires_at": expires_at.timestamp() * 1000}
    file.write_text(json.dumps({**login, "refresh_token": refresh}))
    make_provider("mine", auth_type="anthropic_oauth", auth_config={"file_path": str(file)})
    [finding] = stored_checks.credentials()
    if refresh:
        assert (finding.level, finding.text) == (Level.OK, "good")
    else:
        assert finding.level is Level.NOTE
        assert finding.text == "good until 2100-01-02 03:04 UTC, and cannot be renewed"
        assert finding.fix == "ccproxy loginprovider mine"


def test_rules_in_their_order_with_their_matches():
    provider = make_provider("openai", host="c.example")
    second = make_rule(name="second", position=2, match_model="haiku", dest_provider=provider)
    make_rule(name="first", position=1, enabled=False, action="passthrough", match_path=".*")
    make_flow(rule_id=second.pk)
    table = shown("rules").splitlines()
    assert [line.split()[0] for line in table] == ["Rule", "first", "second"]
    assert "every request" in table[1]
    assert "disabled" in table[1]
    assert "model haiku" in table[2]
    assert [row["matches_24h"] for row in json.loads(shown("rules", "--json"))] == [0, 1]


def test_usage_sums_up_as_the_page_does():
    assert "No requests between" in shown("usage")
    today = datetime.now(UTC).date()
    for days, cost in ((0, "1.25"), (1, "0.75"), (40, "9")):
        UsageDaily.objects.create(
            day=today - timedelta(days=days),
            provider="anthropic",
            model="m",
            session_id="s",
            requests=2,
            input_tokens=1000,
            output_tokens=10,
            cost_usd=cost,
            unpriced=1,
        )
    err = StringIO()
    by_model = shown("usage", stderr=err).splitlines()
    assert by_model[1].split()[:3] == ["anthropic", "m", "4"]
    assert by_model[-1].split()[0] == "total"
    assert "$2.00" in by_model[-1]
    assert "2 requests without a known price." in err.getvalue()
    UsageDaily.objects.filter(day=today).update(unmetered=1)
    err = StringIO()
    shown("usage", "--days", "1", stderr=err)
    assert err.getvalue().splitlines() == [
        "1 request without token counts.",
        "1 request without a known price.",
    ]
    by_day = shown("usage", "--by", "day").splitlines()
    assert [line.split()[0] for line in by_day[1:3]] == [str(today), str(today - timedelta(days=1))]
    assert "$11.00" in shown("usage", "--by", "session", "--days", "60")
    assert json.loads(shown("usage", "--json"))["totals"]["requests"] == 4


def test_an_api_token_is_shown_once_and_opens_the_api(client):
    said = StringIO()
    token = shown("apitoken", "new", stderr=said).strip()
    assert Token.objects.get().key == token_digest(token)
    assert client.get("/api/flows/", headers={"authorization": f"Token {token}"}).status_code == 200
    assert token not in shown("apitoken", "list")
    assert json.loads(shown("apitoken", "list", "--json"))[0]["user"] == "admin"
    shown("apitoken", "remove", stderr=said)
    assert client.get("/api/flows/", headers={"authorization": f"Token {token}"}).status_code == 401
    with pytest.raises(CommandError, match="admin has no API token"):
        shown("apitoken", "remove")
    User.objects.create_user("reader")
    with pytest.raises(CommandError, match="did you mean reader"):
        shown("apitoken", "new", "readr")


def test_the_framework_s_own_command_names_ours(capsys):
    with pytest.raises(CcproxyError, match="ccproxy apitoken new"):
        _product(["drf_create_token", "reader"])
    with pytest.raises(SystemExit):
        manage(["manage.py", "drf_create_token", "reader"])
    assert "ccproxy apitoken new" in capsys.readouterr().err


def test_open_prints_a_link_where_there_is_no_display(settings, tmp_path, monkeypatch):
    settings.CONFIG_DIR = tmp_path
    opened: list[str] = []

    def note(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr("webbrowser.open", note)
    with pytest.raises(CommandError, match="no console is running"):
        shown("openconsole")
    make_status(endpoints={"console_url": "http://127.0.0.1:8083"})
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert shown("openconsole", stderr=StringIO()).startswith("http://127.0.0.1:8083/login/")
    assert not opened
    monkeypatch.setattr(openconsole, "has_display", lambda: True)
    assert shown("openconsole") == "Opened http://127.0.0.1:8083 in the browser.\n"
    # The arguments of a browser's process are public, so it gets a private file's address.
    assert opened == [(tmp_path / "login-link.html").as_uri()]
    assert Path(tmp_path / "login-link.html").stat().st_mode & 0o777 == 0o600


def test_the_doctor_names_what_is_wrong_and_its_fix(settings, tmp_path, monkeypatch):
    # The tests' database is in memory, and has no file.
    monkeypatch.setattr(stored_checks, "is_ready", lambda: True)
    tmp_path.chmod(0o755)
    settings.CONFIG_DIR = tmp_path
    make_provider("used", auth_type="key", secret="", host="d.example")
    make_flow(provider="used", status_code=401)
    (tmp_path / "mitmproxy-ca.pem").write_text("no certificate")
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", "--json", stdout=out)
    assert ended.value.code == 1
    found = {each["check"]: each for each in json.loads(out.getvalue())}
    assert found["provider used"]["level"] == "failure"
    assert found["provider used"]["fix"] == "ccproxy setkey used"
    assert found["CA"]["level"] == "failure"
    assert "is damaged" in found["CA"]["text"]
    assert f"chmod 700 {tmp_path}" in {each["fix"] for each in found.values()}
    assert found["clock"]["level"] == "ok"
    assert {"versions", "python", "database", "proxy", "console", "jail"} <= found.keys()


def test_a_clock_behind_the_record_is_a_failure():
    later = datetime.now(UTC) + timedelta(hours=2)
    assert machine_checks.clock(later, None).level is Level.FAILURE
    assert "CA's certificate" in machine_checks.clock(None, later).text
    assert machine_checks.clock(None, None).level is Level.OK


def test_a_port_of_our_own_is_not_another_program_s(port):
    with pytest.raises(ConfigError, match="taken by a ccproxy that runs already"):
        check_port_free("proxy", "127.0.0.1", int(port), "port (CCPROXY_PORT)")
