"""A text column that holds ciphertext; the key lives in a file outside the database."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models

from providers.keyring import Keyring


@cache
def keyring_at(path: Path) -> Keyring:
    """The keyring of a key file, opened once a process."""
    return Keyring.open(path)


def keyring() -> Keyring:
    """The keyring that the settings name."""
    return keyring_at(Path(settings.CCPROXY_KEY_FILE))


if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class EncryptedTextField(_TextField):
    """Text encrypted at rest. Attribute values are `Ciphertext`, so a secret is decrypted only where someone asks."""

    def get_prep_value(self, value: Any) -> Any:
        if value is None or value == "" or isinstance(value, Ciphertext):
            return value
        return Ciphertext(keyring().encrypt(value))

    def from_db_value(self, value: str | None, *_: Any) -> Ciphertext | None:
        return None if value is None else Ciphertext(value)


class Ciphertext(str):
    """An encrypted text as it stands in the database; printing it shows no secret."""

    def decrypt(self) -> str:
        """The clear text, or "" for an empty column."""
        return keyring().decrypt(self) if self else ""
