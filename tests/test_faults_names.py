"""Every error about an unknown name that a person wrote suggests the one that was meant.

A name is misspelt in each place where one can be written: files, variables, commands, REST, keys,
filters. A place that is added belongs into this file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from ccproxy_site.cli import guarded
from ccproxy_site.command_table import COMMANDS
from ccproxy_site.database_url import database_from_url
from ccproxy_site.process.logging import configure_logging
from flows.queries.flow_set import missing_field
from flows.queries.jq import JqError, run_jq
from flows.queries.saved_filters import clean_query, parameters_of
from interceptor.access.client_token import create_client_token
from interceptor.config.files.document import parse_document
from interceptor.config.files.load_settings import load_server_settings
from interceptor.config.files.whole_file import check_file
from interceptor.config.transfer.importer import import_sections
from interceptor.explain.as_configured import explain_as_configured
from interceptor.explain.explanation import DryRequest, Explanation
from interceptor.explain.sources import as_json
from interceptor.hooks.table import HookConf, build_plan, find_hook
from interceptor.models import HookSetting
from interceptor.pipeline.hook import Stage
from jail.command import main as jail
from jail.command import namespace
from jail.withproxy import main as run
from providers.auth.oauth_kinds import BadOAuthConfig, oauth_auth
from providers.base.arguments import suggest_names
from providers.base.errors import CcproxyError
from providers.validation import check_auth
from tests.rows import make_flow, make_provider, make_rule

pytestmark = pytest.mark.django_db


# --- the file

PROVIDER = "host: h, type: openai"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("inspectr: {}", "inspector"),
        ("inspector: {prot: 1}", "port"),
        ("inspector: {mitmproxy: {stream_large_bodys: 1m}}", "stream_large_bodies"),
        ("log_level: WARNNING", "WARNING"),
        ("provider: {}", "providers"),
        (f"providers: {{a: {{{PROVIDER}, verfy_tls: true}}}}", "verify_tls"),
        ("providers: {a: {host: h, type: opnai}}", "openai"),
        (f"providers: {{a: {{{PROVIDER}, scheme: htps}}}}", "https"),
        (f"providers: {{a: {{{PROVIDER}, native_formats: [openai_chta]}}}}", "openai_chat"),
        (f"providers: {{a: {{{PROVIDER}, auth: {{type: comand, command: x}}}}}}", "command"),
        (f"providers: {{a: {{{PROVIDER}, auth: {{type: file, fil: x}}}}}}", "file"),
        ("hooks: [verbos_mode]", "verbose_mode"),
        ("hooks: {inbuond: []}", "inbound"),
        ("inspector: {transforms: [{acton: redirect}]}", "action"),
        ("inspector: {transforms: [{action: redirct}]}", "redirect"),
        ("inspector: {transforms: [{dest_provider: antropic}]}", "anthropic"),
    ],
)
def test_of_the_file(text: str, meant: str) -> None:
    make_provider("anthropic")
    with pytest.raises(CcproxyError, match=rf"did you mean {meant}\?"):
        file = check_file(parse_document(text, "ccproxy.yaml"))
        import_sections(file.sections, file.document, dry_run=True)


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("CCPROXY_INSPECTOR__PROT", "1", "CCPROXY_INSPECTOR__PORT"),
        ("CCPROXY_LOG_LEVL", "INFO", "CCPROXY_LOG_LEVEL"),
        ("CCPROXY_LOG_LEVEL", "WARNNING", "WARNING"),
    ],
)
def test_of_a_variable(tmp_path: Path, name: str, value: str, meant: str) -> None:
    with pytest.raises(CcproxyError, match=rf"did you mean {meant}\?"):
        load_server_settings(tmp_path, {name: value})


def test_of_a_database_address_and_a_log_level(tmp_path: Path) -> None:
    with pytest.raises(CcproxyError, match=r"timeot; .*timeout"):
        database_from_url("sqlite:////tmp/x.sqlite3?timeot=3", tmp_path)
    with pytest.raises(CcproxyError, match=r"did you mean WARNING\?"):
        configure_logging(None, "WARNNING", to_stderr=False)


# --- hooks and credential sources


def test_of_a_hook_and_its_parameters() -> None:
    with pytest.raises(CcproxyError, match=r"did you mean verbose_mode\?"):
        find_hook("verbos_mode")
    with pytest.raises(CcproxyError, match=r"“inject_auht” .*did you mean inject_auth\?"):
        find_hook("interceptor.hooks.inject_auth.inject_auht")
    conf = HookConf("inbound", "extract_session_id", params={"x_no_such": 1})
    with pytest.raises(CcproxyError, match="takes no parameters"):
        build_plan([conf], Stage.INBOUND)


def test_of_a_credential_source() -> None:
    assert "did you mean command?" in str(check_auth("comand", {}))
    assert "there are: file" in str(check_auth("file", {"file": "a", "x": 1}))
    with pytest.raises(BadOAuthConfig, match=r"did you mean client_id\?"):
        oauth_auth("codex_oauth", {"clientid": "a"})


# --- commands


def stderr_of(capsys: pytest.CaptureFixture[str], action: Callable[[], object]) -> str:
    with contextlib.suppress(SystemExit):
        action()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "words", "meant"),
    [
        ("flows", ["lst"], "list"),
        ("flows", ["list", "--jsno"], "--json"),
        ("flows", ["as", "crul", "x"], "curl"),
        ("explain", ["--requst", "x"], "--request"),
        ("clienttoken", ["remov", "x"], "remove"),
        ("interceptorstatus", ["--prxy"], "--proxy"),
        ("interceptorlogs", ["--folow"], "--follow"),
    ],
)
def test_of_a_subcommand_or_an_option(
    capsys: pytest.CaptureFixture[str], command: str, words: list[str], meant: str
) -> None:
    from django.core.management import get_commands, load_command_class

    loaded = load_command_class(get_commands()[command], command)
    loaded._called_from_command_line = True  # type: ignore[attr-defined]
    parser = loaded.create_parser("ccproxy", command)
    suggest_names(parser)
    assert f"did you mean {meant}?" in stderr_of(capsys, lambda: parser.parse_args(words))


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: jail(["--egres", "x", "true"]), "--egress"),
        (lambda: jail(["--wireguard", "kernl", "true"]), "kernel"),
        (lambda: namespace(["docter"]), "doctor"),
        (lambda: run(["--inspct", "true"], dict), "--inspect"),
    ],
)
def test_of_the_jail_and_run(
    capsys: pytest.CaptureFixture[str], call: Callable[[], object], meant: str
) -> None:
    assert f"did you mean {meant}?" in stderr_of(capsys, call)


@pytest.mark.parametrize("command", ["setkey", "loginprovider"])
def test_of_a_provider_in_a_command(command: str, filled_database: None) -> None:
    make_provider("anthropic")
    make_provider("google")
    with pytest.raises(CommandError) as caught:
        call_command(command, "antropic")
    assert str(caught.value) == (
        "there is no provider “antropic”; did you mean anthropic? There are: anthropic, google"
    )


def test_of_a_client_token_and_its_providers(filled_database: None) -> None:
    make_provider("anthropic")
    create_client_token("laptop")
    with pytest.raises(CommandError, match=r"did you mean laptop\?"):
        call_command("clienttoken", "remove", "labtop")
    notes = StringIO()
    call_command(
        "clienttoken", "add", "x", "--provider", "antropic", stdout=StringIO(), stderr=notes
    )
    assert "did you mean anthropic?" in notes.getvalue()


@given(st.data())
def test_any_option_of_any_parser_is_suggested(data: st.DataObject) -> None:
    option = data.draw(st.sampled_from(["--request", "--follow", "--as-forwarded"]))
    cut = data.draw(st.integers(3, len(option) - 2))
    parser = argparse.ArgumentParser(allow_abbrev=False)
    inner = parser.add_subparsers().add_parser("go")
    for name in ("--request", "--follow", "--as-forwarded"):
        inner.add_argument(name)
    said: list[str] = []
    parser.error = said.append  # type: ignore[method-assign,assignment]
    suggest_names(parser)
    parser.parse_args(["go", option[:cut] + option[cut + 1 :]])
    assert said[0].endswith(f"; did you mean {option}?")


# --- REST


@pytest.fixture
def api() -> APIClient:
    client = APIClient()
    client.force_authenticate(User.objects.create_superuser("root"))
    return client


NEW_PROVIDER = {"name": "a", "type": "openai", "host": "api.example", "path": "/v1/x"}


@pytest.mark.parametrize(
    ("path", "data", "meant"),
    [
        ("providers", NEW_PROVIDER | {"hots": 1}, "host"),
        ("providers", NEW_PROVIDER | {"type": "opnai"}, "openai"),
        ("providers", NEW_PROVIDER | {"auth_type": "comand"}, "command"),
        ("providers", NEW_PROVIDER | {"native_formats": ["openai_chta"]}, "openai_chat"),
        ("rules", {"acton": "redirect"}, "action"),
        ("rules", {"action": "redirct"}, "redirect"),
        ("rules", {"action": "redirect", "dest_provider": "antropic"}, "anthropic"),
        ("hooks", {"stage": "inbuond", "name": "verbose_mode"}, "inbound"),
        ("hooks", {"stage": "inbound", "name": "verbos_mode"}, "verbose_mode"),
        ("client-tokens", {"name": "x", "provders": []}, "providers"),
        ("saved-filters", {"name": "x", "query": "staus=5xx&provider=a"}, "status"),
        ("explain", {"ulr": "/"}, "url"),
    ],
)
def test_of_rest(api: APIClient, path: str, data: dict[str, Any], meant: str) -> None:
    make_provider("anthropic")
    refused = api.post(f"/api/{path}/", data, format="json")
    assert refused.status_code == 400
    assert f"did you mean {meant}?" in refused.content.decode().lower()


def test_of_a_flow_in_rest(api: APIClient) -> None:
    flow = make_flow()
    answers = [
        (api.get("/api/flows/?staus=5xx"), "status"),
        (api.get(f"/api/flows/{flow.pk}/as/crul/"), "curl"),
        (api.patch(f"/api/flows/{flow.pk}/", {"pined": True}, format="json"), "pinned"),
    ]
    for answer, meant in answers:
        assert answer.status_code in (400, 404)
        text = answer.content.decode()
        assert f"did you mean {meant}?" in text or f"“{meant}”" in text


# --- filters


def test_of_a_filter() -> None:
    with pytest.raises(CcproxyError, match=r"did you mean status\?"):
        parameters_of("staus=5xx")
    # Without the misspelt one, `flows clear` would delete all of the provider's flows.
    with pytest.raises(CcproxyError, match=r"did you mean status\?"):
        parameters_of("provider=a&staus=5xx")
    with pytest.raises(CcproxyError, match="There is no filter “zzz”"):
        parameters_of("provider=a&zzz=5xx")
    with pytest.raises(ValidationError, match=r"did you mean provider\?"):
        clean_query("?status=5xx&provder=a")
    assert clean_query("?status=5xx&cursor=1_x&utm=1") == "status=5xx"


def test_of_jq() -> None:
    with pytest.raises(JqError, match=r"did you mean length\?"):
        run_jq(["map(lenght)"], [])
    make_flow(status_code=200, requested_model="m")
    field = "Flows have no field “requestd_model”; did you mean requested_model?"
    assert missing_field(['map(select(.requestd_model == "m"))']) == field
    shown = StringIO()
    call_command("flows", "list", "--jq", 'map(select(.requestd_model == "m"))', stdout=shown)
    assert shown.getvalue() == f"No flow matches. {field}\n"


@pytest.mark.parametrize(
    "text",
    [
        'map(select(.requested_model == "m.stat"))',
        "map({kind: .type, id}) | map(select(.kind == 1))",
        "map(.request.headers | length)",
        "map(.response.status_code)",
    ],
)
def test_names_of_jq_that_exist_are_not_doubted(text: str) -> None:
    make_flow(status_code=200)
    assert missing_field([text]) == ""


# --- requests


def explained(key: str, model: str) -> Explanation:
    HookSetting.objects.get_or_create(stage="inbound", name="inject_auth")
    body = json.dumps({"model": model, "max_tokens": 1, "messages": []}).encode()
    headers = (("x-api-key", key), ("anthropic-version", "2023-06-01"))
    return explain_as_configured(DryRequest("POST", "/v1/messages", headers, body))


def test_of_a_provider_in_a_sentinel_key() -> None:
    make_provider("anthropic")
    assert "did you mean anthropic?" in explained("sk-ccproxy-antropic", "m").problem


def test_of_a_model() -> None:
    make_provider("anthropic", model_names=["claude-fable", "claude-haiku"])
    note = explained("sk-ccproxy-anthropic", "cluade-haiku").model_note
    assert "“cluade-haiku”; did you mean claude-haiku?" in note
    listed = explained("sk-ccproxy-anthropic", "Claude-Haiku")
    assert as_json(listed)["model_note"] == ""


def test_of_a_model_that_a_rule_names() -> None:
    provider = make_provider("anthropic", model_names=["claude-haiku"])
    make_rule(action="redirect", dest_provider=provider, dest_model="claude-hiaku")
    assert "did you mean claude-haiku?" in explained("sk-ccproxy-anthropic", "x").model_note


def test_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    from ccproxy_site.cli import _product

    assert "setkey" in COMMANDS
    for words, meant in ((["setky"], "setkey"), (["--verson"], "--version")):
        assert guarded(partial(_product, words)) == 1
        assert f"did you mean {meant}?" in capsys.readouterr().err
