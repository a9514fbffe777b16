"""Captures sent to the console: bounded, on disk while they are read, in memory only once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from django.core.files.uploadedfile import UploadedFile

from flows.display.units import size
from flows.imports.capture_file import CaptureError
from flows.imports.importer import Imported, import_file

MAX_UPLOAD_BYTES: Final = 128 * 1024 * 1024
"""Larger files are for `ccproxy flows import`, which has a process of its own."""
_FORM_BYTES: Final = 1024**2
"""Room for the boundaries and headers around the files of a form."""
_MAX_DIGITS: Final = 20
_MAX_NAME_CHARS: Final = 200
_CHUNK_BYTES: Final = 256 * 1024


class UploadTooLargeError(CaptureError):
    """A file over the limit; the message says what to do."""


class Readable(Protocol):
    """A request's body."""

    def read(self, size_bytes: int, /) -> bytes:
        """Return at most so many bytes; nothing at the end."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a form: its name, and its flows or the reason why there are none."""

    name: str
    imported: Imported = field(default_factory=Imported)
    problem: str = ""


def check_declared_size(length: str | None, max_bytes: int = MAX_UPLOAD_BYTES) -> None:
    """Refuse a request by its Content-Length, before anything is parsed.

    Raises:
        UploadTooLargeError: it is over the limit.
    """
    if not length or not length.isascii() or not length.isdigit():
        return
    # Twenty digits are over every limit, and int() is slow for millions of them.
    if int(length[:_MAX_DIGITS]) > max_bytes + _FORM_BYTES:
        raise _too_large(max_bytes)


def import_stream(body: Readable, max_bytes: int = MAX_UPLOAD_BYTES) -> Imported:
    """Import a capture from a request's body.

    Raises:
        CaptureError: it is not a capture, it is empty, or too large.
    """
    with tempfile.NamedTemporaryFile(prefix="ccproxy-import-") as file:
        written_bytes = 0
        for chunk in _chunks(body):
            written_bytes += len(chunk)
            if written_bytes > max_bytes:
                raise _too_large(max_bytes)
            file.write(chunk)
        if not written_bytes:
            raise CaptureError("The body is empty: send the file itself, with its Content-Length.")
        file.flush()
        return import_file(Path(file.name))


def import_uploads(
    files: Iterable[UploadedFile[Any]], max_bytes: int = MAX_UPLOAD_BYTES
) -> Iterator[Upload]:
    """Import the files of a form one after the other."""
    for file in files:
        name = (file.name or "the file")[:_MAX_NAME_CHARS]
        try:
            yield Upload(name, _import_upload(file, max_bytes))
        except CaptureError as exc:
            yield Upload(name, problem=str(exc))


def _import_upload(file: Any, max_bytes: int) -> Imported:
    if (file.size or 0) > max_bytes:
        raise _too_large(max_bytes)
    # Django puts a large file on disk, so it need not be written twice.
    if hasattr(file, "temporary_file_path"):
        return import_file(Path(file.temporary_file_path()))
    return import_stream(file, max_bytes)


def _chunks(body: Readable) -> Iterator[bytes]:
    while chunk := body.read(_CHUNK_BYTES):
        yield chunk


def _too_large(max_bytes: int) -> UploadTooLargeError:
    return UploadTooLargeError(
        f"This is over {size(max_bytes)}: import it with `ccproxy flows import FILE`, or split it."
    )
