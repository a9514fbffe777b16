"""importconfig and exportconfig, on the database."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command

from interceptor.config.files.document import parse_document
from interceptor.config.files.whole_file import check_file
from interceptor.config.snapshot.load import load_snapshot
from interceptor.config.transfer.exporter import export_config
from interceptor.config.transfer.importer import import_sections, refuse_unsafe_file
from interceptor.config.transfer.rows import ImportReport
from interceptor.models import HookSetting
from providers.auth.base import OAuthAuth
from providers.base.errors import ConfigError
from providers.fallbacks import Fallback
from providers.models import ConfigRevision, Provider, TransformRule
from providers.retry_policy import RetryPolicy
from tests.interceptor.config import product_files

pytestmark = pytest.mark.django_db


def run(text: str, *, dry_run: bool = False) -> ImportReport:
    file = check_file(parse_document(text, "ccproxy.yaml"))
    return import_sections(file.sections, file.document, dry_run=dry_run)


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        run(text)
    return str(caught.value)


def lines(report: ImportReport) -> list[str]:
    return [" ".join(str(change).split()) for change in report.changes]


def export() -> str:
    return export_config(parse_document("", ""))


def everything() -> list[dict[str, object]]:
    """All configuration rows without what a new installation makes anew."""
    rows = [
        *Provider.objects.values(),
        *TransformRule.objects.values("dest_provider__name", *RULE_FIELDS),
    ]
    rows += HookSetting.objects.values("stage", "position", "name", "enabled", "params")
    return [
        {k: v for k, v in row.items() if k not in ("id", "created_at", "changed_at")}
        for row in rows
    ]


RULE_FIELDS = [
    f.name
    for f in TransformRule._meta.fields
    if f.name not in ("dest_provider", "created_at", "changed_at")
]
RICH = """\
providers:
  local:
    auth: null
    type: openai
    scheme: http
    host: 127.0.0.1
    port: 11434
    path: /v1/chat/completions
    headers: {x-team: "one: two #3", x-empty: ""}
    models: [llama3, "1.5"]
    native_formats: [openai_responses]
    enabled: false
    fingerprint_profile: chrome131
  "123": {host: h.example, type: zai, verify_tls: false, auth: null}
inspector:
  transforms:
    - {action: passthrough, match_host: 'a\\.b$', match_path: null, comment: "x\\n  y", enabled: false}
    - {dest_host: h.example, dest_path: /x, name: "named: rule"}
    - {action: transform, match_model: ^gpt, dest_provider: local, dest_vertex_project: p, dest_vertex_location: l}
hooks:
  inbound: [inject_auth, {hook: extract_session_id, enabled: false}]
  outbound: [shape, verbose_mode]
"""


def test_it_works():
    report = run(product_files.SENTINEL_PROVIDERS + product_files.TRANSFORM_RULE)
    assert lines(report) == [
        "added provider anthropic",
        "added provider gemini",
        "added provider openai",
        "added rule 1: transform",
    ]
    openai = Provider.objects.get(name="openai")
    assert (openai.auth_type, openai.auth_header) == ("command", "authorization")
    assert openai.auth_config == {"command": "op read 'op://vault/openai/api_key'"}
    rule = TransformRule.objects.get()
    assert rule.dest_provider == Provider.objects.get(name="anthropic")
    assert (rule.position, rule.match_path, rule.match_host) == (0, "^/v1/chat/completions", "")


@pytest.mark.parametrize("name", product_files.ALL)
def test_the_product_s_files_import_with_and_without_the_root(name):
    run(product_files.ALL[name])
    first = everything()
    assert run(product_files.below_root(product_files.ALL[name])).changes == []
    assert everything() == first
    assert bool(first) is (name != "settings")


@pytest.mark.parametrize("name", [*product_files.ALL, "rich"])
def test_export_then_import_is_the_same_configuration(name):
    run(RICH if name == "rich" else product_files.ALL[name])
    before, text = everything(), export()
    assert run(text).changes == []
    for model in (TransformRule, Provider, HookSetting):
        model.objects.all().delete()
    run(text)
    assert everything() == before
    assert export() == text


def test_a_profile_is_imported_and_an_unknown_one_is_refused():
    assert "fingerprint" not in str(run(RICH).notes)
    assert Provider.objects.get(name="local").fingerprint_profile == "chrome131"
    with pytest.raises(ConfigError, match="did you mean chrome131"):
        run(RICH.replace("chrome131", "chrom131"))


def test_a_dry_run_tells_and_changes_nothing():
    run(product_files.SENTINEL_PROVIDERS + product_files.REDIRECT_RULE)
    before, revision = everything(), ConfigRevision.current()
    changed = (
        product_files.SENTINEL_PROVIDERS.replace("api.openai.com", "api.example")
        + "hooks: [inject_auth]\n"
    )
    report = run(changed + "inspector: {transforms: []}\n", dry_run=True)
    assert lines(report) == [
        "changed provider openai (host: api.openai.com → api.example)",
        "added hook inbound/inject_auth",
        "removed rule 1: redirect",
    ]
    assert (everything(), ConfigRevision.current()) == (before, revision)


def test_what_the_file_does_not_mention_stays():
    run(product_files.SENTINEL_PROVIDERS + product_files.HOOKS + product_files.REDIRECT_RULE)
    report = run("providers: {other: {host: h.example, type: openai}}\n")
    assert lines(report) == ["added provider other"]


def test_lists_that_are_empty_remove_everything():
    run(product_files.SENTINEL_PROVIDERS + product_files.HOOKS + product_files.REDIRECT_RULE)
    run("hooks: {inbound: [], outbound: []}\ninspector: {transforms: []}\nproviders: {}\n")
    assert (
        HookSetting.objects.count(),
        TransformRule.objects.count(),
        Provider.objects.count(),
    ) == (0, 0, 3)


def test_a_rule_that_only_moves_keeps_its_number():
    rules = (
        "inspector:\n  transforms:\n  - {dest_host: a.example}\n  - {dest_host: b.example, name:"
        " b}\n"
    )
    run(rules)
    ids = {rule.dest_host: rule.pk for rule in TransformRule.objects.all()}
    run(
        "inspector:\n  transforms:\n  - {dest_host: c.example, name: b}\n  - {dest_host:"
        " a.example}\n"
    )
    assert [(r.dest_host, r.pk) for r in TransformRule.objects.all()] == [
        ("c.example", ids["b.example"]),
        ("a.example", ids["a.example"]),
    ]


def test_nothing_is_written_when_anything_is_refused():
    text = (
        product_files.SENTINEL_PROVIDERS
        + "inspector:\n  transforms:\n  - {match_host: 'a(', dest_provider: openai}\n"
    )
    assert refusal(text).startswith("ccproxy.yaml:26: inspector.transforms[0].match_host: ")
    assert not Provider.objects.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "providers:\n  a:\n    host: https://x/\n    type: openai\n",
            "ccproxy.yaml:3: providers.a.host: Give a host",
        ),
        (
            "providers:\n  a b: {host: h, type: openai}\n",
            "ccproxy.yaml:2: providers.a b: Letters, digits",
        ),
        (
            "providers:\n  a:\n    host: h\n    type: openai\n    path: x\n",
            "ccproxy.yaml:5: providers.a.path: The path",
        ),
        (
            "providers:\n  a:\n    {host: h.example, type: openai, scheme: http, auth: x}\n",
            "ccproxy.yaml:3: providers.a.scheme: A credential is sent over https only",
        ),
        (
            (
                "providers: {anthropic: {host: h, type: openai}}\ninspector:\n  transforms:\n  -"
                " dest_provider: antropic\n"
            ),
            (
                "ccproxy.yaml:4: inspector.transforms[0].dest_provider: there is no provider"
                " “antropic”; did you"
            ),
        ),
        (
            "inspector:\n  transforms:\n  - {}\n",
            "ccproxy.yaml:3: inspector.transforms[0].dest_provider: A redirect needs",
        ),
        (
            "hooks:\n- verbos_mode\n",
            "ccproxy.yaml:2: hooks[0]: there is no hook “verbos_mode”; did you mean verbose_mode",
        ),
        (
            "hooks:\n- shape\n- ccproxy.hooks.shape\n",
            "ccproxy.yaml:3: hooks[1]: shape stands twice",
        ),
        (
            "hooks:\n  outbound:\n  - {hook: verbose_mode, params: {x: 1}}\n",
            "ccproxy.yaml:3: hooks.outbound[0]: ",
        ),
    ],
)
def test_refusals_name_the_place_in_the_file(text, message):
    assert refusal(text).startswith(message)


def test_a_bare_text_is_a_command_and_a_map_may_lack_its_type():
    run(
        "providers:\n  a: {host: h.example, type: openai, auth: printenv A}\n"
        "  b: {host: h.example, type: openai, auth: {file: ~/x, header: X-Key}}\n"
    )
    a, b = Provider.objects.all()
    assert (a.auth_type, a.auth_config, a.auth_header) == ("command", {"command": "printenv A"}, "")
    assert (b.auth_type, b.auth_config, b.auth_header) == ("file", {"file": "~/x"}, "x-key")


def test_a_file_without_auth_keeps_the_stored_credential_and_null_removes_it():
    run("providers: {a: {host: h.example, type: openai, auth: {type: key, key: sk-canary-1}}}\n")
    run("providers: {a: {host: i.example, type: openai}}\n")
    row = Provider.objects.get()
    assert (row.host, row.secret.decrypt()) == ("i.example", "sk-canary-1")
    run("providers: {a: {host: i.example, type: openai, auth: {type: key}}}\n")
    assert Provider.objects.get().secret.decrypt() == "sk-canary-1"
    run("providers: {a: {host: i.example, type: openai, auth: null}}\n")
    row = Provider.objects.get()
    assert (row.auth_type, row.secret) == ("none", "")


def test_a_key_in_the_file_is_stored_encrypted_and_never_told():
    text = "providers: {a: {host: h.example, type: openai, auth: {type: key, key: sk-canary-1}}}\n"
    report = run(text)
    assert "remove it from the file" in report.notes[0]
    assert "canary" not in str(report)
    assert "canary" not in str(Provider.objects.values())
    assert run(text).changes == []


@pytest.mark.parametrize("kind", ["anthropic_oauth", "google_oauth", "codex_oauth"])
def test_a_login_is_imported_and_exported_without_its_secret(kind):
    settings = f"type: {kind}, file_path: ~/x, client_id: c-1, redirect_port: 1455, header: x-token"
    text = (
        f"providers: {{a: {{host: h.example, type: gemini, auth: {{{settings}, client_secret:"
        " canary-123}}}\n"
    )
    report = run(text)
    assert "client_secret is stored encrypted now" in report.notes[0]
    assert "canary" not in str(report)
    assert run(text).changes == []
    row = Provider.objects.get()
    assert row.auth_type == kind
    assert row.auth_config == {"file_path": "~/x", "client_id": "c-1", "redirect_port": 1455}
    assert row.secret.decrypt() == "canary-123"
    exported = export()
    assert "canary" not in exported
    assert "# The client secret of a is left out" in exported
    assert run(exported).changes == []
    assert Provider.objects.get().secret.decrypt() == "canary-123"
    auth = load_snapshot().providers["a"].auth
    assert isinstance(auth, OAuthAuth)
    assert (auth.type, auth.file_path, auth.client_id, auth.header) == (
        kind,
        "~/x",
        "c-1",
        "x-token",
    )
    run("providers: {a: {host: h.example, type: gemini, auth: {type: file, file: ~/y}}}\n")
    assert Provider.objects.get().secret == ""


@pytest.mark.parametrize(
    ("auth", "says"),
    [
        (
            "type: google_oauth",
            "providers.a.auth: “client_id” is needed: the source “google_oauth”",
        ),
        ("type: codex_oauth, endpoint: 'http://h.example/'", "has to begin with https://"),
        ("type: codex_oauth, acces_path: x", "did you mean access_path?"),
    ],
)
def test_a_login_that_cannot_be_used_is_refused(auth, says):
    assert says in refusal(
        f"providers: {{a: {{host: h.example, type: gemini, auth: {{{auth}}}}}}}\n"
    )


def test_every_hook_of_a_product_s_file_is_stored_switched_on():
    run(product_files.HOOKS)
    assert not HookSetting.objects.filter(enabled=False).exists()
    names = HookSetting.objects.filter(stage="outbound").values_list("name", flat=True)
    assert list(names)[-3:] == ["verbose_mode", "commitbee_compat", "shape"]


def test_a_hook_in_the_other_stage_s_list_is_moved_to_its_own():
    report = run("hooks: [ccproxy.hooks.inject_auth, ccproxy.hooks.verbose_mode]\n")
    assert HookSetting.objects.get(name="verbose_mode").stage == "outbound"
    assert report.notes == ["hooks[1]: verbose_mode is an outbound hook and was put there"]


def test_a_function_that_cannot_be_loaded_is_stored_switched_off():
    report = run("hooks: {outbound: [nowhere_to_be_found.hook]}\n")
    assert HookSetting.objects.get().enabled is False
    assert "cannot import nowhere_to_be_found" in report.notes[0]


def test_an_export_has_no_secrets():
    run(
        "providers: {a: {host: h.example, type: openai, headers: {Authorization: tok-canary,"
        " x-team: t}}}\n"
    )
    run(
        "providers: {b: {host: h.example, type: openai, auth: {type: key, key: sk-canary-1, header:"
        " x-api-key}}}\n"
    )
    settings = (
        "inspector: {mitmproxy: {web_password: pw-canary}}\nmcp: {http: {auth:"
        " mcp-canary}}\nport: 4010\n"
    )
    text = export_config(parse_document(settings, ""))
    assert "canary" not in text
    data = yaml.safe_load(text)["ccproxy"]
    assert data["port"] == 4010
    assert data["providers"]["a"]["headers"] == {"Authorization": None, "x-team": "t"}
    assert data["providers"]["b"]["auth"] == {"type": "key", "header": "x-api-key"}
    for name in (
        "inspector.mitmproxy.web_password",
        "mcp.http.auth",
        "ccproxy setkey b",
        "Authorization",
    ):
        assert name in text.partition("\nccproxy:")[0]
    run(text)
    assert Provider.objects.get(name="a").headers["Authorization"] == "tok-canary"
    assert Provider.objects.get(name="b").secret.decrypt() == "sk-canary-1"


def test_a_file_with_commands_that_others_may_write_is_refused(tmp_path: Path):
    path = tmp_path / "ccproxy.yaml"
    path.write_text(product_files.SENTINEL_PROVIDERS)
    sections = check_file(parse_document(path.read_text(), "")).sections
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="chmod go-w"):
        refuse_unsafe_file(path, sections)
    path.chmod(0o644)
    refuse_unsafe_file(path, sections)


def test_the_commands(tmp_path: Path, filled_database: None):
    path, out = tmp_path / "mine.yaml", StringIO()
    path.write_text(product_files.ALL["everything"])
    call_command("importconfig", str(path), "--dry-run", stdout=out)
    assert "added   provider openai" in out.getvalue()
    assert "nothing was changed (--dry-run)" in out.getvalue()
    assert not Provider.objects.exists()
    call_command("importconfig", str(path), stdout=out)
    assert "Note: server settings (port, log_level) are not in the database" in out.getvalue()
    target = tmp_path / "out.yaml"
    call_command("exportconfig", str(target), stderr=StringIO())
    assert target.stat().st_mode & 0o777 == 0o600
    call_command("importconfig", str(target), stdout=(again := StringIO()))
    assert "Nothing to change." in again.getvalue()


RETRIED = """\
providers:
  local:
    type: openai
    host: 127.0.0.1
    retry:
      attempts: 4
      statuses: [429, connect]
      budget_seconds: 2.5
"""


def test_a_retry_policy_reaches_the_running_configuration_and_the_export() -> None:
    run(RETRIED)
    policy = load_snapshot().providers["local"].retry
    assert policy == RetryPolicy(4, frozenset({429, "connect"}), 2.5)
    exported = yaml.safe_load(export())["ccproxy"]["providers"]["local"]["retry"]
    assert exported == {"attempts": 4, "statuses": [429, "connect"], "budget_seconds": 2.5}
    run("providers: {local: {type: openai, host: 127.0.0.1}}")
    assert load_snapshot().providers["local"].retry is None


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("attempts: 4", "attempts: 1", "ccproxy.yaml:6: providers.local.retry.attempts"),
        ("[429, connect]", "[401]", "providers.local.retry.statuses"),
        ("[429, connect]", "[]", "providers.local.retry.statuses"),
    ],
)
def test_a_retry_policy_that_cannot_be_used(old: str, new: str, text: str) -> None:
    assert text in refusal(RETRIED.replace(old, new))


CHAINED = """
providers:
  first: {type: openai, host: a.example, fallbacks: [second/small, third]}
  second: {type: anthropic, host: b.example, cooldown_seconds: 0}
  third: {type: openai, host: c.example}
inspector:
  transforms:
    - {match_model: ^x, dest_provider: third, fallbacks: [first], retry: {attempts: 2}}
"""


def test_fallbacks_reach_the_running_configuration_and_the_export() -> None:
    run(CHAINED)
    found = load_snapshot()
    assert found.providers["first"].fallbacks == (Fallback("second", "small"), Fallback("third"))
    assert [found.providers[name].cooldown_s for name in ("first", "second")] == [5.0, 0.0]
    assert found.rules[0].fallbacks == (Fallback("first"),)
    assert found.rules[0].retry == RetryPolicy(2)
    assert found.chained == {"first", "second", "third"}
    exported = yaml.safe_load(export())["ccproxy"]
    assert exported["providers"]["first"]["fallbacks"] == ["second/small", "third"]
    (rule,) = exported["inspector"]["transforms"]
    assert (rule["fallbacks"], rule["retry"]) == (["first"], {"attempts": 2})
    assert run(CHAINED).changes == []


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("third]", "thrid]", "providers.first.fallbacks: there is no provider “thrid”"),
        ("[first]", "[nobody]", "inspector.transforms[0].fallbacks: there is no provider"),
        ("second/small", "second/", "not of the form"),
        ("second/small", "first", "its own fallback"),
        ("dest_provider: third", "dest_host: h.example", "need a rule that sends to a provider"),
    ],
)
def test_fallbacks_that_cannot_be_used(old: str, new: str, text: str) -> None:
    assert text in refusal(CHAINED.replace(old, new))
    assert not Provider.objects.exists()
