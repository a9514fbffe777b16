"""A new encryption key: everything stays readable, wherever it is interrupted, and a running
process goes on.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.management import call_command

from providers.base import keyring as keyring_module
from providers.base.errors import ConfigError
from providers.base.keyring import Keyring, keyring_at
from providers.credentials.key_rotation import ENCRYPTED_COLUMNS, Rotation
from providers.fields import Ciphertext, EncryptedTextField, keyring
from providers.models import AuditEntry, ConfigRevision, CredentialState, Provider
from tests.calls import call_elsewhere
from tests.providers.credentials.killed_rotation import kill_at_every_step
from tests.rows import make_provider

pytestmark = pytest.mark.django_db
KEY = "sk-ant-oat01-rotated-0123456789"
TOKENS = '{"access_token": "at-0123456789"}'


@pytest.fixture
def key_file(tmp_path: Path, settings: object) -> Path:
    path = tmp_path / "secret.key"
    settings.CCPROXY_KEY_FILE = path  # type: ignore[attr-defined]
    return path


@pytest.fixture
def rows(key_file: Path) -> None:
    make_provider("keyed", auth_type="key", secret=KEY)
    make_provider("open")
    CredentialState.objects.create(key="a" * 64, tokens=TOKENS)


def stored() -> list[Ciphertext]:
    return [Provider.objects.get(name="keyed").secret, CredentialState.objects.get().tokens]


def test_it_works(rows: None, key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old_key, before, revision = key_file.read_text(), stored(), ConfigRevision.current()
    call_command("rotatekey")
    assert capsys.readouterr().out == "2 values encrypted with the new key. The old key is gone.\n"
    assert old_key.strip() not in key_file.read_text()
    assert len(key_file.read_text().split()) == 1
    assert key_file.stat().st_mode & 0o777 == 0o600
    fresh = Keyring.open(key_file)
    assert [fresh.decrypt(token) for token in stored()] == [KEY, TOKENS]
    with pytest.raises(ConfigError):
        fresh.decrypt(before[0])
    assert ConfigRevision.current() > revision, "running interceptors load the new ciphertexts"
    assert [
        (row.action, row.outcome) for row in AuditEntry.objects.exclude(action="config-change")
    ] == [("rotate-key", "done")]
    call_command("rotatekey", "--json")
    assert json.loads(capsys.readouterr().out) == {"encrypted": 2, "dropped": 1, "resumed": False}


def test_the_table_names_every_encrypted_column() -> None:
    found = {
        (model._meta.label, field.name)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, EncryptedTextField)
    }
    assert set(ENCRYPTED_COLUMNS) == found


def test_a_running_process_goes_on_and_takes_the_new_key(rows: None, key_file: Path) -> None:
    held = stored()[0]  # as in the configuration that an interceptor runs on
    assert held.decrypt() == KEY
    call_command("rotatekey")
    assert held.decrypt() == KEY, "with the key that the process knew"
    assert Keyring.open(key_file).is_newest(keyring().encrypt("new"))
    assert [token.decrypt() for token in stored()] == [KEY, TOKENS]


def test_for_several_machines_the_old_key_stays(rows: None, key_file: Path, tmp_path: Path) -> None:
    call_command("rotatekey", "--keep-old")
    assert len(key_file.read_text().split()) == 2
    other = tmp_path / "copied.key"
    other.write_text(key_file.read_text())
    other.chmod(0o600)
    call_command("rotatekey")
    assert len(key_file.read_text().split()) == 1
    assert [keyring_at(other).decrypt(token) for token in stored()] == [KEY, TOKENS]


def test_a_value_that_was_changed_meanwhile_is_left_alone(rows: None, key_file: Path) -> None:
    steps = Rotation(key_file).run()
    next(steps)
    Provider.objects.filter(name="keyed").update(secret="pasted meanwhile")
    list(steps)
    keyring_module._opened.clear()
    assert [token.decrypt() for token in stored()] == ["pasted meanwhile", TOKENS]


def test_a_value_that_an_old_process_wrote_at_the_last_moment(rows: None, key_file: Path) -> None:
    old = Keyring.open(key_file)
    for step in Rotation(key_file).run():
        if step == "the old key left the file":
            Provider.objects.filter(name="keyed").update(secret=Ciphertext(old.encrypt("late")))
    assert Keyring.open(key_file).decrypt(stored()[0]) == "late"


def test_a_value_that_no_key_fits_stops_it_with_both_keys_kept(rows: None, key_file: Path) -> None:
    Provider.objects.filter(name="open").update(
        secret=Ciphertext(Fernet(Fernet.generate_key()).encrypt(b"x").decode())
    )
    with pytest.raises(ConfigError, match="open holds a value that no key of the file fits"):
        call_command("rotatekey")
    assert len(key_file.read_text().split()) == 2
    assert [token.decrypt() for token in stored()] == [KEY, TOKENS]
    assert AuditEntry.objects.get(action="rotate-key").outcome == "failed"
    Provider.objects.filter(name="open").update(secret="")
    call_command("rotatekey")
    assert len(key_file.read_text().split()) == 1


def test_one_at_a_time(rows: None, key_file: Path) -> None:
    lock = os.open(key_file.with_name(".secret.key.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(ConfigError, match="another rotation"):
        call_command("rotatekey")
    os.close(lock)


def test_readers_meanwhile_never_fail(rows: None, key_file: Path) -> None:
    """A thread decrypts and encrypts all the time, as an interceptor does."""
    token, failures, stop = stored()[0], [], threading.Event()

    def use() -> None:
        while not stop.is_set():
            try:
                keyring().decrypt(token)
                written = keyring().encrypt("y")
                keyring().decrypt(written)
            except ConfigError as exc:
                failures.append(str(exc))

    thread = threading.Thread(target=use)
    thread.start()
    for _ in range(5):
        list(Rotation(key_file).run())
    stop.set()
    thread.join()
    assert failures == []


def test_killed_at_every_step_everything_stays_readable(tmp_path: Path) -> None:
    environ = {**os.environ, "CCPROXY_CONFIG_DIR": str(tmp_path)}
    seen = call_elsewhere(kill_at_every_step, environ, str(tmp_path / "secret.key"))
    assert len(seen) >= 12, "each step once, and twice around each write"
    assert all(texts == ["one", "two"] and mode == "0o600" for texts, _, mode, _ in seen)
    assert {size for _, size, _, _ in seen} == {1, 2}
    assert list(seen[-1][1:]) == [1, "0o600", False], (
        "the run that was left alone ended with one key"
    )
