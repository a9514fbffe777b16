"""Captures that are sent to the console: bounded, on disk while they are read, never whole in
memory twice.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from django.core.files.uploadedfile import UploadedFile

from flows.display.units import size
from flows.imports.har import CaptureError
from flows.imports.importer import Imported, import_file

MAX_UPLOAD_BYTES: Final = 128 * 1024 * 1024
"""Larger files are for `ccproxy flows import`, which has a process of its own."""
_CHUNK_BYTES: Final = 256 * 1024


class UploadTooLargeError(CaptureError):
    """The file is over the bound; the message says what to do."""


class Readable(Protocol):
    """A request's body."""

    def read(self, size_bytes: int, /) -> bytes:
        """At most so many bytes; nothing at the end."""


def check_declared_size(length: str | None) -> None:
    """Refuse by the Content-Length, before anything is parsed; 1 MB is for what wraps the files.

    Raises:
        UploadTooLargeError: it is over the bound.
    """
    if (
        length
        and length.isascii()
        and length.isdigit()
        and int(length[:20]) > MAX_UPLOAD_BYTES + 1024**2
    ):
        raise _too_large()


def import_stream(body: Readable) -> Imported:
    """Import a capture out of a request's body.

    Raises:
        CaptureError: it is none, it is empty, or too large.
    """
    with tempfile.NamedTemporaryFile(prefix="ccproxy-import-") as file:
        written = 0
        for chunk in _chunks(body):
            written += len(chunk)
            if written > MAX_UPLOAD_BYTES:
                raise _too_large()
            file.write(chunk)
        if not written:
            raise CaptureError("The body is empty: send the file itself, with its Content-Length.")
        file.flush()
        return import_file(Path(file.name))


def import_uploads(
    files: Iterable[UploadedFile[Any]],
) -> Iterator[tuple[str, Imported | CaptureError]]:
    """Import the files of a form one after the other: each one's name and what became of it."""
    for file in files:
        name = (file.name or "the file")[:200]
        try:
            yield name, _import_upload(file)
        except CaptureError as exc:
            yield name, exc


def _import_upload(file: Any) -> Imported:
    if (file.size or 0) > MAX_UPLOAD_BYTES:
        raise _too_large()
    if hasattr(file, "temporary_file_path"):
        return import_file(Path(file.temporary_file_path()))
    return import_stream(file)


def _chunks(body: Readable) -> Iterator[bytes]:
    while chunk := body.read(_CHUNK_BYTES):
        yield chunk


def _too_large() -> UploadTooLargeError:
    return UploadTooLargeError(
        f"This is over {size(MAX_UPLOAD_BYTES)}: import it with `ccproxy flows import FILE`, or"
        " split it."
    )
