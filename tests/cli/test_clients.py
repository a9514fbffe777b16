"""The table of clients: what `ccproxy run` gives each, and what it says of those it cannot point."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jail.run.base_urls import ALL, Route, kept_urls, proxy_variables
from jail.run.client import Client
from jail.run.client_table import CLIENTS, client_of, main
from jail.run.run_plan import forward_plan_for, plan_for
from tests.environment import ROOT

ROUTE = Route("http://127.0.0.1:4000", "x-1")
TO = "http://127.0.0.1:4000/run/x-1/to"


@pytest.fixture
def gemini_home(tmp_path: Path) -> Path:
    """A home whose Gemini CLI uses an API key."""
    (tmp_path / ".gemini").mkdir()
    text = '// mine\n{"security": {"auth": {"selectedType": "gemini-api-key"}}}'
    (tmp_path / ".gemini" / "settings.json").write_text(text)
    return tmp_path


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.program)
def test_every_client_is_pointed_at_the_proxy_or_named(client: Client, gemini_home: Path) -> None:
    plan = plan_for([f"/opt/{client.program}", "a"], ROUTE, {"HOME": str(gemini_home)})
    assert client_of(plan.command[0]) is client
    assert (plan.command[0], plan.command[-1]) == (f"/opt/{client.program}", "a")
    if client.vendors:
        assert TO in json.dumps([plan.variables, plan.command]) and not plan.doubt
    elif client.forward:
        assert plan.by_forward and plan.hosts == client.hosts
        assert (plan.variables, plan.command[1:], plan.doubt) == ({}, ["a"], "")
    else:
        assert plan.variables == {} and plan.command[1:] == ["a"]
        assert f"ccproxy jail -- /opt/{client.program}" in plan.doubt


def test_codex_gets_the_setting_that_it_reads() -> None:
    plan = plan_for(["codex", "exec", "hi"], ROUTE, {"CODEX_API_KEY": "sk-own"})
    assert plan.command == ["codex", "-c", f'openai_base_url="{TO}/openai/v1"', "exec", "hi"]
    plan = plan_for(["codex", "exec"], ROUTE, {"CODEX_API_KEY": "sk-ccproxy-openai"})
    assert plan.command[2] == 'openai_base_url="http://127.0.0.1:4000/run/x-1/v1"'


def test_opencode_gets_a_configuration_in_a_variable() -> None:
    found = json.loads(plan_for(["opencode"], ROUTE, {}).variables["OPENCODE_CONFIG_CONTENT"])
    urls = {name: entry["options"]["baseURL"] for name, entry in found["provider"].items()}
    assert urls == {
        "anthropic": f"{TO}/anthropic/v1",
        "openai": f"{TO}/openai/v1",
        "google": f"{TO}/google/v1beta",
    }
    mine = plan_for(["opencode"], ROUTE, {"OPENCODE_CONFIG_CONTENT": "{}"})
    assert "OPENCODE_CONFIG_CONTENT" not in mine.variables
    assert mine.doubt.startswith("OPENCODE_CONFIG_CONTENT sends opencode to another host")


def test_gemini_cli_gets_a_base_url_only_where_it_takes_one(gemini_home: Path) -> None:
    fresh = {"HOME": str(gemini_home / "fresh"), "GEMINI_API_KEY": "AIza-own"}
    plan = plan_for(["gemini", "-p", "hi"], ROUTE, fresh)
    assert plan.by_forward and plan.variables == {}
    assert plan.hosts == ("cloudcode-pa.googleapis.com",)
    # The forward proxy replaces a sentinel key too.
    assert plan_for(["gemini"], ROUTE, fresh | {"GEMINI_API_KEY": "sk-ccproxy-google"}).by_forward
    selected = plan_for(["gemini"], ROUTE, fresh | {"HOME": str(gemini_home)})
    assert selected.variables["GOOGLE_GEMINI_BASE_URL"] == f"{TO}/google"
    # Rules need a base URL.
    stored = plan_for(["gemini"], Route(ROUTE.proxy_url, own_credentials=False), fresh)
    assert "GOOGLE_GEMINI_BASE_URL" in stored.variables
    assert stored.doubt.startswith("Gemini CLI refuses a base URL until its settings select")


def test_goose_gets_hosts_of_its_own() -> None:
    environ = {"OPENAI_HOST": "https://llm.corp.test", "ANTHROPIC_API_KEY": "sk-ant-own"}
    plan = plan_for(["goose"], ROUTE, environ)
    assert plan.variables["ANTHROPIC_HOST"] == f"{TO}/anthropic"
    assert plan.variables["GOOGLE_HOST"] == f"{TO}/google"
    assert "OPENAI_HOST" not in plan.variables
    assert plan.doubt.startswith("OPENAI_HOST sends goose to another host")
    # A vendor's base URL of another host keeps that vendor's key away from ours.
    other = plan_for(["goose"], ROUTE, {"OPENAI_BASE_URL": "https://llm.corp.test/v1"})
    assert "OPENAI_HOST" not in other.variables and "ANTHROPIC_HOST" in other.variables


@pytest.mark.parametrize("name", ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"])
def test_claude_code_at_another_cloud_is_named(name: str) -> None:
    plan = plan_for(["claude"], ROUTE, {name: "1"})
    assert (
        plan.doubt == f"{name} sends Claude Code to another host; to see it: ccproxy jail -- claude"
    )


def test_a_key_for_another_host_is_not_shown_to_the_vendor() -> None:
    environ = {"OPENAI_BASE_URL": "https://api.other.test/v1", "OPENAI_API_KEY": "sk-other"}
    for command in ("opencode", "python", "aider", "llm"):
        plan = plan_for([command], ROUTE, environ)
        assert "/to/openai" not in json.dumps([plan.variables, plan.command])
        assert "/to/anthropic" in json.dumps(plan.variables)
        assert "OPENAI_BASE_URL stays as you set it" in plan.doubt
    # A sentinel key is for the proxy, whatever the variable says.
    sentinel = environ | {"OPENAI_API_KEY": "sk-ccproxy-openai"}
    assert proxy_variables(ROUTE, sentinel)["OPENAI_BASE_URL"].endswith("/run/x-1/v1")
    for url in ("https://api.openai.com/v1", "http://127.0.0.1:4000/v1", ""):
        assert kept_urls(ROUTE, {"OPENAI_BASE_URL": url}) == []
    for url in ("https://api.openai.com.other.test/v1", "http://127.0.0.1:40001/v1"):
        assert kept_urls(ROUTE, {"OPENAI_BASE_URL": url}) == ["OPENAI_BASE_URL"]


def test_a_client_of_any_host_is_pointed_by_sentinel_keys_alone() -> None:
    plan = plan_for(["qwen"], ROUTE, {"OPENAI_API_KEY": "sk-ccproxy-openai"})
    assert plan.variables["OPENAI_BASE_URL"] == "http://127.0.0.1:4000/run/x-1/v1"
    assert not plan.doubt and "ANTHROPIC_BASE_URL" not in plan.variables
    stored = Route(ROUTE.proxy_url, own_credentials=False)
    assert len(plan_for(["qwen"], stored, {}).variables) == sum(len(v.urls) for v in ALL)


def test_a_client_without_a_base_url_goes_by_the_forward_proxy() -> None:
    environ = {"OPENAI_BASE_URL": "https://llm.corp.test/v1", "OPENAI_API_KEY": "sk-own"}
    plan = plan_for(["qwen", "-p", "hi"], ROUTE, environ)
    assert plan.by_forward and plan.command == ["qwen", "-p", "hi"]
    # The host that the user chose is read too, and the URL stays.
    assert plan.hosts[-1] == "llm.corp.test" and plan.variables == {}
    # Any client does where the user asks for it.
    assert forward_plan_for(["claude"], {}).by_forward


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    headings, *lines = capsys.readouterr().out.splitlines()
    assert headings.split()[0] == "Client"
    assert len(lines) == len(CLIENTS)
    for client, line in zip(CLIENTS, lines, strict=True):
        way = "run" if client.vendors or client.forward else "jail"
        assert line.startswith(client.title) and f"ccproxy {way} -- {client.program} " in line
        assert client.version in line
    assert main(["--help"]) == 0 and "usage: ccproxy clients" in capsys.readouterr().out
    assert main(["x"]) == 2


def test_print_runs_nothing(ccproxy) -> None:
    done = ccproxy("run", "--print", "--", "codex", "exec", "say hi")
    assert done.returncode == 0 and done.stderr == ""
    url = f"http://127.0.0.1:{ccproxy.ports['proxy']}/run/NAME/to/openai/v1"
    assert done.stdout.splitlines() == [
        f"OPENAI_BASE_URL={url}",
        f"OPENAI_API_BASE={url}",
        f"codex -c 'openai_base_url=\"{url}\"' exec 'say hi'",
    ]
    assert not (ccproxy.directory / "run").exists()
    assert "Claude Code" in ccproxy("clients").stdout.splitlines()[1]


def test_the_quickstart_has_every_client() -> None:
    page = (ROOT / "docs/quickstart.md").read_text()
    for client in CLIENTS:
        assert f"| {client.title} |" in page
