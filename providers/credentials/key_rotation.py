"""Gives every encrypted column a new key. Interrupted at any step, everything stays readable, and
the next run goes on.

Steps: a new key on top of the file (the old one still decrypts) → every column encrypted again,
each value only if it has not changed meanwhile → the old key leaves the file. Running processes
notice that the file changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import apps

from providers.base.errors import ConfigError
from providers.base.file_lock import FileLock
from providers.base.keyring import Keyring
from providers.fields import Ciphertext
from providers.models import ConfigRevision

ENCRYPTED_COLUMNS: tuple[tuple[str, str], ...] = (
    ("providers.Provider", "secret"),
    ("providers.CredentialState", "tokens"),
    ("shapes.ShapingProfile", "billing_salt"),
    ("shapes.ShapingProfile", "billing_seed"),
    ("interceptor.CarriedReasoning", "text"),
    ("interceptor.RememberedThread", "ids"),
)
"""Every encrypted column of every application: model, field."""


@dataclass(slots=True)
class Rotation:
    """A rotation, while it runs and when it is done."""

    path: Path
    keep_old: bool = False
    resumed: bool = False
    """An earlier run was interrupted; its new key is used."""
    encrypted: int = 0
    dropped: int = 0

    def run(self) -> Iterator[str]:
        """Rotate step by step; yield a sentence after each step.

        Raises:
            ConfigError: another rotation runs, the file cannot be used, or a value fits none of the
            keys.
        """
        with _alone(self.path):
            keys = Keyring.open(self.path)
            self.resumed = keys.size > 1
            if not self.resumed:
                keys = keys.with_new_key()
                keys.write(self.path)
            # From here on every process can read both: those that encrypt use the new key.
            yield "the new key is in the file"
            yield from self._encrypt_all(keys)
            if self.keep_old:
                return
            keys.newest_only().write(self.path)
            self.dropped = keys.size - 1
            yield "the old key left the file"
            # A process that opened the file before may have used the old key until now.
            yield from self._encrypt_all(keys)

    def _encrypt_all(self, keys: Keyring) -> Iterator[str]:
        before = self.encrypted
        for label, name in ENCRYPTED_COLUMNS:
            self.encrypted += _encrypt_column(apps.get_model(label), name, keys)
            yield f"{label}.{name} is encrypted with the new key"
        if self.encrypted > before:
            # Running interceptors hold ciphertexts in their configuration.
            ConfigRevision.bump()


def _encrypt_column(model: Any, name: str, keys: Keyring) -> int:
    """Encrypt one column again, value by value; returns how many."""
    done = 0
    for pk, token in model._base_manager.exclude(**{name: ""}).values_list("pk", name):
        if keys.is_newest(token):
            continue
        try:
            fresh = Ciphertext(keys.encrypt(keys.decrypt(token)))
        except ConfigError:
            row = model._base_manager.get(pk=pk)
            raise ConfigError(
                f"{row} holds a value that no key of the file fits; set it again, then rotate"
            ) from None
        # Only the value that was read: a user may have set another one meanwhile.
        unchanged = model._base_manager.filter(pk=pk, **{name: Ciphertext(token)})
        done += unchanged.update(**{name: fresh})
    return done


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock beside the key file; a second rotation is refused rather than kept waiting."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        is_ours = lock.try_acquire()
    except OSError as exc:
        raise ConfigError(f"cannot write to {path.parent}: {exc.strerror}") from None
    if not is_ours:
        raise ConfigError("another rotation of the key is running; wait for it")
    try:
        yield
    finally:
        lock.release()
