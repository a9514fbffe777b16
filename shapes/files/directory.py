"""The directory of shapes (`shaping.shapes_dir`): `TYPE.mflow` and `TYPE/series`, both ways."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from django.conf import settings

from providers.base.names import PROVIDER_TYPES
from providers.base.private_file import write_private
from shapes.active_rows import parts_of
from shapes.capture.validity import Recorded
from shapes.files.mflow_file import ShapeFile, read_path, write_mflow
from shapes.files.patch_series import PatchFile, read_series, series_files
from shapes.files.shape_file_error import ShapeFileError
from shapes.models import Shape, ShapePatch
from shapes.replay.shape_document import ShapeParts, patched
from shapes.replay.shape_text import BadShape
from shapes.replay.unified_diff import BadPatch
from shapes.versions.capturing import Review, Source, review_source

SUFFIX: Final = ".mflow"


def shapes_dir() -> Path:
    """Return the configured directory; it need not exist."""
    configured = settings.CCPROXY.shaping.shapes_dir
    return Path(configured).expanduser() if configured else Path(settings.CONFIG_DIR) / "shapes"


def shape_files(paths: Iterable[Path]) -> list[Path]:
    """Return the `.mflow` files among paths and directly inside of directories, in order.

    Raises:
        ShapeFileError: a path does not exist.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(path.glob(f"*{SUFFIX}"))
        elif path.is_file():
            found.append(path)
        else:
            raise ShapeFileError(f"{path} does not exist.")
    return found


def type_of(path: Path, given: str | None) -> str:
    """Return the provider type of a file: the given one, or the file's name without its end.

    Raises:
        ShapeFileError: the name is no provider type, and none is given.
    """
    if given:
        return given
    if path.stem not in PROVIDER_TYPES:
        raise ShapeFileError(f"{path.name} is not named like a provider type: add --type TYPE.")
    return path.stem


@dataclass(frozen=True, slots=True)
class FileReview:
    """The review of a file, and the patches of its series that stay patches."""

    review: Review
    patches: list[ShapePatch]


def review_path(path: Path, provider_type: str) -> FileReview:
    """Return the review of a file's last request with the series beside it, `TYPE/series`.

    A series that fits the scrubbed request stays a series. One that fits only the recorded
    request is applied to that, and the result is scrubbed.

    Raises:
        ShapeFileError: the file or its series cannot be read or applied.
        CaptureRefused: the request cannot become a shape of this type.
    """
    file = read_path(path)
    found = review_file(file, path.name, provider_type)
    series = read_series(path.parent / provider_type)
    pairs = [(patch.name, patch.diff) for patch in series]
    try:
        patched(parts_of(found.shape), pairs)
    except BadPatch:
        folded = replace(file, recorded=_patched(file, pairs, path.name))
        return FileReview(review_file(folded, path.name, provider_type), [])
    return FileReview(found, [ShapePatch(name=patch.name, diff=patch.diff) for patch in series])


def _patched(file: ShapeFile, pairs: list[tuple[str, str]], name: str) -> Recorded:
    """Return the recorded request of a file after its patches."""
    recorded = file.recorded
    path, _, query = recorded.target.partition("?")
    try:
        body = (recorded.body or b"").decode()
        parts = ShapeParts(recorded.method, file.origin, path, query, recorded.headers, body)
        after = patched(parts, pairs)
    except (BadPatch, BadShape, UnicodeDecodeError) as exc:
        raise ShapeFileError(f"{name}: {exc}. Nothing is applied.") from None
    target = f"{after.path}?{after.query}" if after.query else after.path
    return Recorded(after.method, target, after.headers, after.body.encode(), recorded.status_code)


def review_file(file: ShapeFile, name: str, provider_type: str, keep: Iterable[str] = ()) -> Review:
    """Return the review of an open file's last request; `name` is for messages.

    Raises:
        CaptureRefused: the request cannot become a shape of this type.
    """
    source = Source(
        label=name,
        recorded=file.recorded,
        origin=file.origin,
        fingerprint=file.fingerprint,
        captured_at=file.captured_at,
        key_order=file.key_order,
    )
    return review_source(source, provider_type, keep)


def mflow_of(shape: Shape) -> bytes:
    """Return a version as a capture of mitmproxy, without its patches."""
    captured_at = shape.captured_at or datetime.now(UTC)
    query = f"?{shape.query}" if shape.query else ""
    return write_mflow(
        method=shape.method,
        url=f"{shape.origin or 'https://shape.invalid'}{shape.path}{query}",
        headers=shape.header_pairs,
        body=shape.body,
        fingerprint=shape.fingerprint,
        captured_at=captured_at.timestamp(),
        key_order=shape.scrubbed.get("key_order", ()),
    )


def export_version(shape: Shape, directory: Path) -> list[Path]:
    """Write `TYPE.mflow`, and `TYPE/` with the patches if there are any; return the files.

    Files are replaced one by one, each complete or unchanged.

    Raises:
        ShapeFileError: the directory cannot be written.
    """
    patches = [PatchFile(patch.name, patch.diff) for patch in shape.patches.all()]
    contents = {directory / f"{shape.provider_type}{SUFFIX}": mflow_of(shape)}
    if patches:
        folder = directory / shape.provider_type
        for name, text in series_files(patches).items():
            contents[folder / name] = text.encode()
    try:
        # The shapes directory may be new, and holds what a person captured.
        for path, data in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(path, data)
    except OSError as exc:
        raise ShapeFileError(f"{directory} cannot be written: {exc.strerror}.") from None
    return list(contents)
