"""Text column that holds ciphertext. The key lives in a file outside the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    from providers.base.keyring import Keyring


def keyring() -> Keyring:
    """Return the keyring that the settings name."""
    # Every process has this field; those that decrypt nothing save 6 MB of cryptography.
    from providers.base.keyring import keyring_at

    return keyring_at(Path(settings.CCPROXY_KEY_FILE))


if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class EncryptedTextField(_TextField):
    """Text encrypted at rest.

    Attribute values are `Ciphertext`, so a secret is decrypted only on request.
    """

    def get_prep_value(self, value: Any) -> Any:
        if value is None or value == "" or isinstance(value, Ciphertext):
            return value
        return Ciphertext(keyring().encrypt(value))

    def from_db_value(self, value: str | None, *_: Any) -> Ciphertext | None:
        return None if value is None else Ciphertext(value)


class Ciphertext(str):
    """Encrypted text as stored in the database. Its representation shows no secret."""

    def decrypt(self) -> str:
        """Return the clear text, or "" for an empty column."""
        return keyring().decrypt(self) if self else ""
