"""Encryption of stored credentials with a key file outside the database. No Django.

The file holds one Fernet key a line. The first encrypts, all decrypt. A rotation puts a new line on
top.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from providers.base.errors import ConfigError
from providers.base.private_file import create_private

_RESTORE = "restore it, or delete it to start with a new key and paste the stored credentials again"


class Keyring:
    """Encrypts and decrypts short texts with the keys of one file."""

    def __init__(self, keys: Sequence[str], path: Path | str = "") -> None:
        if not keys:
            raise ConfigError(f"the key file {path} is empty; {_RESTORE}")
        try:
            self._fernets = [Fernet(key) for key in keys]
        except ValueError:
            raise ConfigError(
                f"the key file {path} does not hold Fernet keys, one a line; {_RESTORE}"
            ) from None
        self._keys = tuple(keys)
        self._all = MultiFernet(self._fernets)

    @classmethod
    def open(cls, path: Path) -> Keyring:
        """Read the key file, creating it (0600) when it does not exist.

        Raises:
            ConfigError: when the file cannot be read or written, or others may read it.
        """
        try:
            if not path.exists():
                create_private(path, Fernet.generate_key().decode() + "\n")
            if path.stat().st_mode & 0o077:
                raise ConfigError(
                    f"the key file {path} can be read by others; run: chmod 600 {path}"
                )
            return cls(path.read_text().split(), path)
        except OSError as exc:
            raise ConfigError(f"cannot read the key file {path}: {exc.strerror}") from None

    @property
    def size(self) -> int:
        """Number of keys there are."""
        return len(self._keys)

    def and_older(self, other: Keyring) -> Keyring:
        """Return these keys, and those of `other` for decrypting."""
        return Keyring([*self._keys, *(key for key in other._keys if key not in self._keys)])

    def with_new_key(self) -> Keyring:
        """Return these keys below a fresh one."""
        return Keyring([Fernet.generate_key().decode(), *self._keys])

    def newest_only(self) -> Keyring:
        """Return the first key alone, without those that only decrypt."""
        return Keyring(self._keys[:1])

    def write(self, path: Path) -> None:
        """Replace the file with these keys, atomically; the new file is durable on return."""
        descriptor, temporary = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=".tmp", dir=path.parent
        )
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write("".join(f"{key}\n" for key in self._keys))
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)  # mkstemp made it 0600
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def encrypt(self, text: str) -> str:
        """Return the text as a Fernet token."""
        return self._all.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Return the text of a Fernet token.

        Raises:
            ConfigError: when no key of the file fits.
        """
        try:
            return self._all.decrypt(token.encode()).decode()
        except InvalidToken:
            raise ConfigError(
                "a stored credential was encrypted with another key; paste it again"
            ) from None

    def is_newest(self, token: str) -> bool:
        """Return whether the first key encrypted this token."""
        try:
            self._fernets[0].decrypt(token.encode())
        except InvalidToken:
            return False
        return True


_opened: dict[Path, tuple[tuple[int, ...], Keyring]] = {}
_lock = Lock()


def keyring_at(path: Path) -> Keyring:
    """Return the keyring of a key file; reads the file again when it changed.

    The process still decrypts with keys that it knew: values in memory may be older than a
    rotation.
    """
    with _lock:
        signature = _signature(path)
        known = _opened.get(path)
        if known is None or known[0] != signature or not signature:
            opened = Keyring.open(path)
            # What was seen before reading: a file that is replaced meanwhile is read once more.
            _opened[path] = (signature, opened.and_older(known[1]) if known else opened)
        return _opened[path][1]


def _signature(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode
