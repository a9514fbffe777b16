"""REST: captures of other tools, sent as a form's files or as the body itself."""

from __future__ import annotations

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

from flows.imports.har import CaptureError
from flows.imports.importer import Imported
from flows.imports.uploads import (
    UploadTooLargeError,
    check_declared_size,
    import_stream,
    import_uploads,
)
from flows.models import Flow
from providers.web.rest import StaffWithModelPermissions


class TooLarge(APIException):
    """The body is over the bound."""

    status_code = 413
    default_code = "too_large"


class WholeBodyParser(BaseParser):
    """Any other type: the body as it comes, not read yet."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return {"body": stream}


class ImportedShape(serializers.Serializer[Any]):
    """What an import did."""

    new = serializers.IntegerField(help_text="Flows that came in.")
    known = serializers.IntegerField(help_text="Flows that were there already.")
    skipped = serializers.IntegerField(help_text="Entries that make no flow.")
    problem = serializers.CharField(
        help_text="Where a damaged file ended; what stands before it came in."
    )


class ImportView(APIView):
    """Imports captures: HAR of any tool, and mitmproxy's `.mflow`."""

    queryset = Flow.objects.all()
    permission_classes = [StaffWithModelPermissions]
    parser_classes = [MultiPartParser, WholeBodyParser]

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
            check_declared_size(request.META.get("CONTENT_LENGTH"))
            return Response(asdict(self._imported(request)))
        except UploadTooLargeError as exc:
            raise TooLarge(str(exc)) from None
        except CaptureError as exc:
            raise ParseError(str(exc)) from None

    def _imported(self, request: Request) -> Imported:
        data: Any = request.data
        if isinstance(data, dict) and "body" in data and not request.FILES:
            return import_stream(data["body"])
        total = Imported()
        files = [file for name in request.FILES for file in request.FILES.getlist(name)]
        if not files:
            raise CaptureError("Send a file: as the body, or as a form's field “file”.")
        for name, found in import_uploads(files):
            if isinstance(found, CaptureError):
                total.problem = " ".join(filter(None, (total.problem, f"{name}: {found}")))
                continue
            total.new, total.known = total.new + found.new, total.known + found.known
            total.skipped += found.skipped
            total.problem = " ".join(
                filter(None, (total.problem, found.problem and f"{name}: {found.problem}"))
            )
        if total.problem and not (total.new or total.known):
            raise CaptureError(total.problem)
        return total
