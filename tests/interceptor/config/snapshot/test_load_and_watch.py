"""Rows become a snapshot; a change is noticed, validated and swapped in, or refused with a
reason.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from interceptor.config.snapshot.build import SECTIONS, ConfigRows
from interceptor.config.snapshot.load import READERS, load_snapshot, read_rows
from interceptor.config.snapshot.schema import Snapshot
from interceptor.config.snapshot.store import ConfigStore
from interceptor.config.snapshot.watch import ConfigWatcher
from interceptor.models import HookSetting, InterceptorStatus
from providers.auth.base import KeyAuth
from providers.models import ConfigRevision, Provider, TransformRule
from tests.rows import make_provider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def empty() -> None:
    Provider.objects.all().delete()
    HookSetting.objects.all().delete()


def make_up(**fields: Any) -> Provider:
    return make_provider("up", host="api.example", **fields)


@pytest.fixture
def watcher() -> ConfigWatcher:
    return ConfigWatcher(ConfigStore(load_snapshot()), endpoints={"proxy_url": "x"}, version="t")


def test_it_works(watcher: ConfigWatcher) -> None:
    store = watcher._store
    before = store.current
    assert not watcher.check()
    make_up(auth_type="key", secret="s3cret-value", headers={"x-a": "1"}, model_names=["m"])
    assert watcher.check()
    after = store.current
    assert "up" not in before.providers
    provider = after.providers["up"]
    assert (provider.host, provider.headers, provider.model_names) == (
        "api.example",
        (("x-a", "1"),),
        ("m",),
    )
    assert isinstance(provider.auth, KeyAuth)
    assert "s3cret" not in repr(after) and provider.auth.ciphertext not in repr(after)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.save(),
        lambda p: p.delete(),
        lambda p: Provider.objects.filter(pk=p.pk).update(host="b.example"),
        lambda p: Provider.objects.filter(pk=p.pk).delete(),
        lambda p: Provider.objects.bulk_create([Provider(name="n", type="openai", host="h")]),
        lambda p: Provider.objects.bulk_update([p], ["host"]),
        lambda p: TransformRule.objects.create(dest_provider=p),
        lambda p: HookSetting.objects.create(stage="inbound", name="inject_auth"),
    ],
)
def test_every_kind_of_write_raises_the_revision(change: Any) -> None:
    provider = make_up()
    before = ConfigRevision.current()
    change(provider)
    assert ConfigRevision.current() > before


def test_a_broken_edit_keeps_the_old_snapshot_and_says_why(watcher: ConfigWatcher) -> None:
    provider = make_up()
    watcher.check()
    good = watcher._store.current
    rule = TransformRule.objects.create(name="bad", match_path="a(b", dest_provider=provider)
    assert not watcher.check()
    assert watcher._store.current is good
    row = InterceptorStatus.objects.get(instance=watcher.instance)
    assert row.revision == good.revision and row.refused_revision == ConfigRevision.current()
    assert "rule ‹bad›" in row.refusal and "missing )" in row.refusal
    rule.match_path = "ab"
    rule.save()
    assert watcher.check()
    assert InterceptorStatus.objects.get(instance=watcher.instance).refusal == ""


def test_an_unknown_hook_is_refused_and_a_switched_off_one_ignored(watcher: ConfigWatcher) -> None:
    HookSetting.objects.create(stage="outbound", name="gone.hook", enabled=False)
    assert watcher.check()
    HookSetting.objects.update(enabled=True)
    assert not watcher.check()
    assert "gone" in watcher.refusal


def test_a_users_hook_is_found_in_the_config_directory(settings: Any) -> None:
    folder = Path(settings.CONFIG_DIR) / "hooks"
    folder.mkdir(exist_ok=True)
    (folder / "my_test_hooks.py").write_text(
        "from interceptor.pipeline.hook import Stage, hook\n"
        "@hook(stage=Stage.OUTBOUND)\n"
        "def shout(ex):\n    'Shout.'\n    ex.headers.set('x-shout', '1')\n"
    )
    HookSetting.objects.create(stage="outbound", name="my_test_hooks.shout", position=3)
    planned = load_snapshot().outbound.hooks[-1]
    assert (planned.label, planned.builtin) == ("my_test_hooks.shout", False)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"host": "https://a.example"}, "host"),
        ({"host": "a.example:80"}, "host"),
        ({"path": "v1"}, "path"),
        ({"headers": {"a b": "c"}}, "headers"),
        ({"headers": {"a": "c\r\nd"}}, "headers"),
        ({"headers": {"X-CCProxy-Token": "c"}}, "headers"),
        ({"auth_type": "command", "auth_config": {}}, "auth_config"),
        ({"auth_type": "key", "scheme": "http"}, "scheme"),
        ({"auth_type": "key", "verify_tls": False}, "verify_tls"),
        ({"name": "a b"}, "name"),
        ({"native_formats": ["x"]}, "native_formats"),
        ({"port": 70000}, "port"),
    ],
)
def test_bad_providers_are_refused_by_field(values: dict[str, Any], field: str) -> None:
    provider = Provider(
        **{"name": "up", "type": "openai", "host": "api.example", "path": "/v1", **values}
    )
    with pytest.raises(ValidationError) as refused:
        provider.full_clean()
    assert field in refused.value.message_dict


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "a.localhost"])
def test_a_credential_may_go_to_this_machine_in_clear(host: str) -> None:
    local = Provider(
        name="up", type="openai", host=host, scheme="http", path="/v1", auth_type="key", secret="x"
    )
    assert local.full_clean() is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"match_path": "x(?=y)", "action": "passthrough"}, "match_path", "position 2"),
        ({"match_model": "a**", "action": "passthrough"}, "match_model", "position 2"),
        ({"action": "redirect"}, "dest_provider", "provider or a host"),
        ({"action": "transform", "dest_host": "h"}, "dest_provider", "translate"),
        ({"dest_host": "a/b"}, "dest_host", "no scheme"),
    ],
)
def test_bad_rules_are_refused_by_field(values: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TransformRule(**values).full_clean()
    assert message in " ".join(refused.value.message_dict[field])


@pytest.mark.django_db
def test_every_field_of_a_snapshot_is_built_by_one_section() -> None:
    rows = read_rows()
    given = [name for section in SECTIONS for name in section.build(rows)]
    assert len(given) == len(set(given))
    own = {"revision", "command_timeout_s"}
    assert {*given, *own} == {field.name for field in fields(Snapshot) if field.init}


def test_every_kind_of_rows_has_a_reader_and_a_section() -> None:
    kinds = [field.name for field in fields(ConfigRows) if field.name != "revision"]
    assert kinds == list(READERS) == [section.name for section in SECTIONS]
