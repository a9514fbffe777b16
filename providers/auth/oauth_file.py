"""Credential files: read completely, replaced atomically. Blocking; called on threads."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path

from providers.auth.oauth import Document

MAX_FILE_BYTES = 1024 * 1024
_MARK = ".ccproxy-"


class BadCredentialFile(Exception):
    """The file cannot be used; the text completes "The login of provider x ..."."""


def real_path(path: str) -> Path:
    """Return the file itself: links are followed, so that a replacement keeps the link."""
    return Path(path).expanduser().resolve()


def read_document(path: Path) -> Document | None:
    """Return the content of the file, None when there is none.

    Raises:
        BadCredentialFile: it is there, but is no JSON object or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise BadCredentialFile(f"cannot be read: {path}: {exc.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise BadCredentialFile(
            f"is kept in {path}, which is larger than 1 MB; that is no credential file"
        )
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise BadCredentialFile(f"is kept in {path}, which is not JSON; log in again") from None
    if not isinstance(document, dict):
        raise BadCredentialFile(f"is kept in {path}, which holds no JSON object; log in again")
    return document


class Replacement:
    """A new content of the file in the making.

    The temporary file is made first, so that a folder that cannot be written is noticed before a
    token is spent. `commit` is durable when it returns. Used under the refresh lock: what others
    left behind is swept away.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for old in path.parent.glob(f".{path.name}{_MARK}*.tmp"):
                old.unlink(missing_ok=True)
            self._temporary = path.parent / f".{path.name}{_MARK}{secrets.token_hex(6)}.tmp"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._temporary, flags, 0o600)
        except OSError as exc:
            raise BadCredentialFile(
                f"cannot be renewed: {path.parent} cannot be written ({exc.strerror})"
            ) from None

    def commit(self, document: Document) -> None:
        """Write, flush to the disk, and put it in the file's place.

        Raises:
            OSError: the disk is full or broken; the old file stands.
        """
        with open(self._descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            self._descriptor = -1
            os.fchmod(file.fileno(), 0o600)
            self._keep_owner(file.fileno())
            file.write(_encode(document, self.path))
            file.flush()
            os.fsync(file.fileno())
        self._temporary.replace(self.path)
        # The rename itself is durable only when the folder is on the disk too.
        _sync_directory(self.path.parent)

    def close(self) -> None:
        """Remove what was not committed."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._temporary.unlink(missing_ok=True)

    def _keep_owner(self, descriptor: int) -> None:
        """Give the new file to the old one's owner, whose program must be able to read it."""
        with contextlib.suppress(OSError):
            old = self.path.stat()
            if old.st_uid != os.geteuid():
                os.fchown(descriptor, old.st_uid, old.st_gid)


def _encode(document: Document, path: Path) -> bytes:
    """Return the document as JSON, in lines when the old file was."""
    try:
        with path.open("rb") as file:
            is_pretty = file.read(2) in (b"{\n", b"{\r", b"")
    except OSError:
        is_pretty = True
    if not is_pretty:
        return json.dumps(document, ensure_ascii=False).encode()
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _sync_directory(path: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
