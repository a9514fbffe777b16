"""REST: captures of other tools, sent as a form's files or as the body itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from flows.imports.capture_file import CaptureError
from flows.imports.importer import Imported
from flows.imports.uploads import (
    MAX_UPLOAD_BYTES,
    Upload,
    UploadTooLargeError,
    check_declared_size,
    import_stream,
    import_uploads,
)
from flows.models import Flow
from providers.web.rest import StaffWithModelPermissions


class TooLarge(APIException):
    """A body over the limit."""

    status_code = 413
    default_code = "too_large"


class RawBodyParser(BaseParser):
    """Parser of any other type: gives the body as it comes, not read yet."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return {"body": stream}


class ImportedShape(serializers.Serializer[Any]):
    """The result of an import."""

    new = serializers.IntegerField(help_text="Flows that were added.")
    known = serializers.IntegerField(help_text="Flows that were stored already.")
    skipped = serializers.IntegerField(help_text="Entries that are not flows.")
    problem = serializers.CharField(
        help_text="Why a damaged file ended early; the flows before were added."
    )
    notes = serializers.ListField(
        child=serializers.CharField(),
        help_text="Sentences about the new flows: their retention, what the file does not have.",
    )


class ImportView(APIView):
    """Imports captures: HAR of any tool, and mitmproxy's `.mflow`."""

    queryset = Flow.objects.all()
    permission_classes = [StaffWithModelPermissions]
    parser_classes = [MultiPartParser, RawBodyParser]
    max_upload_bytes = MAX_UPLOAD_BYTES

    @extend_schema(
        request={
            "multipart/form-data": {
                "type": "object",
                "properties": {
                    "file": {"type": "array", "items": {"type": "string", "format": "binary"}}
                },
                "required": ["file"],
            },
            "application/har+json": OpenApiTypes.OBJECT,
            "application/octet-stream": OpenApiTypes.BINARY,
        },
        responses={200: ImportedShape},
    )
    def post(self, request: Request) -> Response:
        """Import one file as the body, or several as a form. Importing again adds nothing."""
        try:
            declared = request.META.get("CONTENT_LENGTH")
            check_declared_size(declared, max_bytes=self.max_upload_bytes)
            return Response(asdict(self._imported(request)))
        except UploadTooLargeError as exc:
            raise TooLarge(str(exc)) from None
        except CaptureError as exc:
            raise ParseError(str(exc)) from None

    def _imported(self, request: Request) -> Imported:
        data: Any = request.data
        is_raw_body = isinstance(data, dict) and "body" in data
        if is_raw_body and not request.FILES:
            return import_stream(data["body"], max_bytes=self.max_upload_bytes)
        files = [file for name in request.FILES for file in request.FILES.getlist(name)]
        if not files:
            raise CaptureError("Send a file: as the body, or as a form's field “file”.")
        return _added_up(import_uploads(files, max_bytes=self.max_upload_bytes))


def _added_up(uploads: Iterable[Upload]) -> Imported:
    """Add up the results of several files.

    Raises:
        CaptureError: not even one file had a flow.
    """
    total = Imported()
    problems = []
    for upload in uploads:
        imported = upload.imported
        total.new += imported.new
        total.known += imported.known
        total.skipped += imported.skipped
        problem = upload.problem or imported.problem
        if problem:
            problems.append(f"{upload.name}: {problem}")
        for note in imported.notes:
            # Several files mostly have the note about retention in common.
            if note not in total.notes:
                total.notes.append(note)
    total.problem = " ".join(problems)
    if total.problem and not total.new and not total.known:
        raise CaptureError(total.problem)
    return total
