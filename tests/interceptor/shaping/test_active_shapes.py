"""Rows of shapes and profiles become a part of the snapshot, and only when all three switches are on."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
import yaml
from django.apps import apps
from django.utils import timezone

from interceptor.config.files.document import parse_document
from interceptor.config.files.whole_file import check_file
from interceptor.config.snapshot.load import load_snapshot, read_rows
from interceptor.config.transfer.exporter import export_config
from interceptor.config.transfer.importer import import_sections, refuse_unsafe_file
from interceptor.explain.as_configured import explain_as_configured
from interceptor.explain.explanation import DryRequest
from interceptor.models import HookSetting
from providers.base.errors import ConfigError
from providers.models import ConfigRevision, Provider
from shapes.models import Shape, ShapePatch, ShapingProfile, shipped_fields
from shapes.replay.unified_diff import make_diff
from tests.interceptor.config import product_files
from tests.interceptor.shaping.reference import BODY, HEADERS
from tests.rows import make_provider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def rows() -> None:
    Provider.objects.all().delete()
    HookSetting.objects.all().delete()
    make_provider("up", host="api.example")
    for position, name in enumerate(("verbose_mode", "shape", "commitbee_compat")):
        HookSetting.objects.create(stage="outbound", name=name, position=position)
    HookSetting.objects.create(stage="inbound", name="inject_auth")


def make_profile(**fields: Any) -> ShapingProfile:
    values = {**shipped_fields("anthropic"), "acknowledged_at": timezone.now(), **fields}
    return ShapingProfile.objects.create(provider_type="anthropic", **values)


def make_shape(**fields: Any) -> Shape:
    values: dict[str, Any] = {
        "version": 3,
        "active": True,
        "path": "/v1/messages",
        "query": "beta=true",
        "headers": [list(pair) for pair in HEADERS],
        "body": json.dumps(BODY),
    }
    return Shape.objects.create(provider_type="anthropic", **{**values, **fields})


REQUEST = DryRequest(
    "POST",
    "/v1/messages",
    (("host", "127.0.0.1:4000"), ("x-api-key", "sk-ccproxy-up")),
    json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}).encode(),
)


def headers_sent() -> dict[str, str]:
    return dict(explain_as_configured(REQUEST).headers)


def test_a_request_takes_the_active_shape_of_its_providers_type():
    make_profile()
    make_shape()
    assert headers_sent()["x-app"] == "ref"


@pytest.mark.parametrize(
    "change",
    [
        lambda: ShapingProfile.objects.update(acknowledged_at=None),
        lambda: Shape.objects.update(active=False),
        lambda: HookSetting.objects.filter(name="shape").update(enabled=False),
        lambda: ShapingProfile.objects.all().delete(),
        lambda: Shape.objects.update(provider_type="gemini"),
    ],
)
def test_without_one_of_the_switches_a_request_leaves_as_it_came(change):
    make_profile()
    make_shape()
    change()
    found = explain_as_configured(REQUEST)
    assert "x-app" not in dict(found.headers)
    assert found.body == REQUEST.body


def test_shaping_that_is_switched_off_shapes_nothing(settings):
    make_profile()
    make_shape()
    shaping = settings.CCPROXY.shaping.model_copy(update={"enabled": False})
    settings.CCPROXY = settings.CCPROXY.model_copy(update={"shaping": shaping})
    assert "x-app" not in headers_sent()
    assert not load_snapshot(shaping_enabled=False).shapes


def test_no_trace_has_a_step_of_a_hook_that_has_no_shape():
    names = [step.hook for step in explain_as_configured(REQUEST).steps]
    assert "shape" not in names


def test_patches_are_part_of_what_is_sent():
    make_profile()
    shape = make_shape()
    from shapes.active_rows import parts_of
    from shapes.replay.shape_document import document_text

    text = document_text(parts_of(shape))
    diff = make_diff(text, text.replace('"x-app": "ref"', '"x-app": "patched"'))
    ShapePatch.objects.create(shape=shape, name="0001-a.patch", diff=diff)
    assert headers_sent()["x-app"] == "patched"
    ShapePatch.objects.create(shape=shape, name="0002-b.patch", position=1, diff=diff)
    with pytest.raises(ConfigError, match=r"shape anthropic v3: patch 0002-b\.patch: the hunk @@"):
        load_snapshot()


def test_an_inner_hook_that_is_gone_names_the_shape():
    make_profile(shape_hooks=["nowhere_to_be_found.change"])
    make_shape()
    with pytest.raises(
        ConfigError, match=r"shape anthropic v3: hook “nowhere_to_be_found\.change”"
    ):
        load_snapshot()


def test_every_change_raises_the_revision_and_constants_travel_as_ciphertext():
    profile = make_profile()
    before = ConfigRevision.current()
    profile.billing_salt, profile.billing_seed, profile.billing_positions = "aa", "bb", [1]
    profile.save()
    shape = make_shape()
    assert ConfigRevision.current() == before + 2
    [row] = read_rows().shapes
    assert "aa" not in (row.billing_salt[:2], row.billing_salt)
    assert row.billing_salt not in repr(row)
    ShapePatch.objects.create(shape=shape, name="p", diff="")
    assert ConfigRevision.current() == before + 3


# The file


def run(text: str) -> Any:
    file = check_file(parse_document(text, "ccproxy.yaml"))
    return import_sections(file.sections, file.document)


def test_the_products_snippet_is_imported_and_takes_effect():
    report = run(product_files.SETTINGS)
    profile = ShapingProfile.objects.get()
    assert profile.shape_hooks == [
        "regenerate",
        {"hook": "caching.strip", "params": {"paths": ["system.*.cache_control"]}},
    ]
    assert profile.content_fields == shipped_fields("anthropic")["content_fields"]
    assert any("ccproxy shapes acknowledge anthropic" in note for note in report.notes)
    make_shape()
    assert "x-app" not in headers_sent()
    ShapingProfile.objects.update(acknowledged_at=timezone.now())
    found = explain_as_configured(REQUEST)
    assert dict(found.headers)["x-app"] == "ref"
    # The snippet's list has no hook that inserts a breakpoint.
    assert "cache_control" not in json.dumps(json.loads(found.body)["system"])


FULL = """
shaping:
  enabled: false
  shapes_dir: /tmp/shapes
  providers:
    gemini:
      content_fields: [model, project]
      merge_strategies: {model: drop}
      shape_hooks: [ccproxy.shaping.gemini, {hook: my_hooks.change, params: {a: 1}}]
      preserve_headers: [authorization]
      strip_headers: [cookie, authorization]
      capture: {path_pattern: ^/v1internal}
      billing: {salt: "0a0b", seed: "${CCPROXY_TEST_SEED}", positions: [1, 5]}
"""


def test_every_key_makes_a_round_trip_without_its_secrets(monkeypatch):
    monkeypatch.setenv("CCPROXY_TEST_SEED", "0xbeef")
    run(FULL)
    before = ShapingProfile.objects.get()
    assert (before.billing_salt.decrypt(), before.billing_seed.decrypt()) == ("0a0b", "0xbeef")
    ShapingProfile.objects.update(acknowledged_at=timezone.now(), acknowledged_by="boss")
    text = export_config(parse_document(FULL, ""))
    assert "0a0b" not in text and "beef" not in text
    assert "The billing constants of gemini are left out" in text
    exported = yaml.safe_load(text)["ccproxy"]["shaping"]
    wanted = yaml.safe_load(FULL)["shaping"]
    wanted["providers"]["gemini"]["billing"] = {"positions": [1, 5]}
    assert exported == wanted
    report = run(text)
    after = ShapingProfile.objects.get()
    assert not [change for change in report.changes if "profile" in change.what]
    assert (after.billing_seed.decrypt(), after.acknowledged_by) == ("0xbeef", "boss")
    ShapingProfile.objects.all().delete()
    run(text)
    fresh = ShapingProfile.objects.get()
    assert (fresh.strip_headers, fresh.is_acknowledged) == (["cookie", "authorization"], False)
    assert not fresh.billing_salt


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{anthropc: {}}", "shaping.providers.anthropc: there is no provider type “anthropc”"),
        ("{gemini: {merge_strategies: {model: merge}}}", "model: “merge” is no strategy"),
        ("{gemini: {merge_strategies: {nope: drop}}}", "“nope” is not among the content fields"),
        ("{gemini: {shape_hooks: [regenrate]}}", "There is no inner hook “regenrate”"),
        ("{gemini: {capture: {path_pattern: 'a('}}}", "capture.path_pattern: Bad regular"),
        ("{gemini: {billing: {salt: xyz}}}", "billing.salt: Give hex text."),
        ("{gemini: {billing: {seed: '${CCPROXY_TEST_NONE}'}}}", "CCPROXY_TEST_NONE is not set"),
        ("{gemini: {billing: {positions: [-1]}}}", "billing.positions: Give a list of at most"),
        ("{gemini: {content: [a]}}", "content"),
    ],
)
def test_a_bad_profile_is_refused_with_its_key_and_nothing_is_stored(text, problem):
    with pytest.raises(ConfigError) as caught:
        run(f"shaping:\n  providers: {text}\n")
    assert problem in str(caught.value)
    assert not ShapingProfile.objects.exists()


def test_a_file_that_others_may_write_must_not_name_own_inner_hooks(tmp_path):
    path = tmp_path / "ccproxy.yaml"
    path.write_text("shaping: {providers: {gemini: {shape_hooks: [my_hooks.change]}}}\n")
    path.chmod(0o666)
    file = check_file(parse_document(path.read_text(), str(path)))
    with pytest.raises(ConfigError, match="names code to run and others may write it"):
        refuse_unsafe_file(path, file.sections)


# The hook of an older installation


def migrate() -> list[tuple[str, int, bool]]:
    import_module("interceptor.migrations.0004_shape_hook").add_shape_hook(apps, None)
    rows = HookSetting.objects.filter(stage="outbound").order_by("position", "name")
    return list(rows.values_list("name", "position", "enabled"))


def test_an_older_installation_gets_the_hook_behind_verbose_mode():
    HookSetting.objects.filter(name="shape").delete()
    HookSetting.objects.filter(name="commitbee_compat").update(position=1)
    assert migrate() == [
        ("verbose_mode", 0, True),
        ("shape", 1, True),
        ("commitbee_compat", 2, True),
    ]


def test_a_hook_that_an_import_stored_switched_off_is_switched_on():
    HookSetting.objects.filter(name="shape").update(enabled=False, position=7)
    assert ("shape", 7, True) in migrate()


def test_a_new_database_is_left_to_its_import():
    HookSetting.objects.all().delete()
    assert migrate() == []
