"""Audit of stored shapes and of files: no response, no credential, no header of ccproxy's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flows.redaction.credential_names import is_credential_header
from shapes.capture.captured_request import Headers
from shapes.files.mflow_file import read_path
from shapes.files.shape_file_error import ShapeFileError
from shapes.models import Shape
from shapes.replay.sensitive_headers import SECRET_HEADERS, is_internal


@dataclass(slots=True)
class AuditResult:
    """Numbers of shapes and files, and a sentence for each fault."""

    shapes: int = 0
    files: int = 0
    faults: list[str] = field(default_factory=list)


def audit_shapes(shapes: Iterable[Shape], result: AuditResult) -> None:
    """Check stored versions."""
    for shape in shapes:
        result.shapes += 1
        result.faults += [f"{shape}: {fault}" for fault in _header_faults(shape.header_pairs)]


def audit_files(files: Iterable[Path], result: AuditResult) -> None:
    """Check files; one that cannot be read is a fault."""
    for path in files:
        result.files += 1
        try:
            found = read_path(path)
        except ShapeFileError as exc:
            result.faults.append(str(exc))
            continue
        if found.has_response:
            result.faults.append(f"{path.name}: it has a response")
        headers = found.recorded.headers
        result.faults += [f"{path.name}: {fault}" for fault in _header_faults(headers)]


def _header_faults(headers: Headers) -> Iterator[str]:
    for name, value in headers:
        lower = name.lower()
        if lower in SECRET_HEADERS or is_credential_header(lower, value):
            yield f"it has the header {lower}, which carries a credential"
        elif is_internal(lower):
            yield f"it has the header {lower}, which is ccproxy's own"
