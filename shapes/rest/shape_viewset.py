"""REST: shapes, from the review of a flow to activation and files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ParseError, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from flows.bodies.complete_flow import CompleteFlow, load_flow
from flows.compare.unified import compare_texts
from flows.rest.imports import RawBodyParser, TooLarge
from providers.audit.log import caller_of
from providers.base.errors import CcproxyError
from providers.web.rest import ConfigViewSet, Conflict, unknown_fields
from shapes.models import Shape
from shapes.rest.permission import HasRights
from shapes.rest.serializers import (
    CandidateSerializer,
    CaptureSerializer,
    ReviewRequestSerializer,
    ReviewSerializer,
    ShapeDetailSerializer,
    ShapeSerializer,
    review_json,
)
from shapes.versions.activation import (
    activate_version,
    deactivate,
    delete_version,
    save_version,
)
from shapes.versions.candidates import candidates
from shapes.versions.capturing import CaptureRefused, Review, newest_valid, review
from shapes.versions.outcomes import outcomes_by_version
from shapes.versions.rights import Act
from shapes.versions.shape_lines import shape_lines

_REVIEWED: Final = (
    "The content is not the one that was reviewed: the profile changed meanwhile. Review it again."
)


@extend_schema_view(
    list=extend_schema(
        responses=ShapeSerializer(many=True),
        parameters=[OpenApiParameter("provider_type", OpenApiTypes.STR)],
    ),
    retrieve=extend_schema(responses=ShapeDetailSerializer),
    create=extend_schema(request=CaptureSerializer, responses={201: ShapeDetailSerializer}),
)
class ShapeViewSet(ConfigViewSet[Shape]):
    """Shapes, by provider type, newest version first."""

    queryset = Shape.objects.all()
    serializer_class = ShapeSerializer
    permission_classes = [HasRights]
    lookup_value_regex = r"\d{1,18}"
    list_parameters = ("provider_type",)
    http_method_names = ["get", "head", "options", "post", "patch", "delete"]
    acts: dict[str, Act] = {
        "create": "capture",
        "review": "capture",
        "candidates": "capture",
        "from_file": "capture",
        "partial_update": "change",
        "activate": "change",
        "deactivate": "change",
        "destroy": "delete",
    }

    def get_queryset(self) -> Any:
        shapes = super().get_queryset()
        wanted = self.request.query_params.get("provider_type") if self.action == "list" else None
        return shapes.filter(provider_type=wanted[:100]) if wanted else shapes

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        by_action: dict[str, type[serializers.BaseSerializer[Any]]] = {
            "create": CaptureSerializer,
            "metadata": CaptureSerializer,
            "retrieve": ShapeDetailSerializer,
        }
        return by_action.get(self.action or "", ShapeSerializer)

    def get_serializer_context(self) -> dict[str, Any]:
        context = dict(super().get_serializer_context())
        if self.action in ("list", "retrieve"):
            context["outcomes"] = self._outcomes()
        return context

    def _outcomes(self) -> dict[int, Any]:
        by_type: dict[str, list[Shape]] = {}
        for shape in Shape.objects.all():
            by_type.setdefault(shape.provider_type, []).append(shape)
        found: dict[int, Any] = {}
        for shapes in by_type.values():
            found |= outcomes_by_version(shapes)
        return found

    # Capture

    @extend_schema(request=ReviewRequestSerializer, responses=ReviewSerializer)
    @action(detail=False, methods=["post"])
    def review(self, request: Request) -> Response:
        """Show what would be stored of a flow. Nothing is stored."""
        return Response(review_json(_review(_asked(ReviewRequestSerializer, request.data))))

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Store a flow as the next version, exactly as it was reviewed."""
        values = _asked(CaptureSerializer, request.data)
        found = _review(values)
        if found.digest != values["digest"]:
            raise Conflict(_REVIEWED)
        found.shape.notes = values["notes"]
        shape = _stored(found, request, activate=values["activate"])
        return Response(ShapeDetailSerializer(shape).data, status=201)

    @extend_schema(responses=CandidateSerializer(many=True))
    @action(detail=False, pagination_class=None)
    def candidates(self, request: Request) -> Response:
        """Return the calls of captured clients that may become shapes, by release."""
        del request
        return Response(CandidateSerializer(many=True, instance=candidates()).data)

    @extend_schema(
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={201: ShapeDetailSerializer},
        parameters=[OpenApiParameter("provider_type", OpenApiTypes.STR, required=True)],
    )
    @action(detail=False, methods=["post"], url_path="import", parser_classes=[RawBodyParser])
    def from_file(self, request: Request) -> Response:
        """Store the last request of a mitmproxy capture, scrubbed, as an inactive version."""
        # mitmproxy takes most of a second to import, which the console would pay at its start.
        from shapes.files.directory import review_file
        from shapes.files.mflow_file import MAX_FILE_BYTES, read_mflow

        data: Any = request.data
        declared = request.META.get("CONTENT_LENGTH") or ""
        # Twenty digits are over every limit, and int() is slow for millions of them.
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > MAX_FILE_BYTES:
            raise TooLarge(f"A shape's file has at most {MAX_FILE_BYTES:,} bytes.")
        try:
            file = read_mflow(data["body"], "The body")
            found = review_file(
                file, "The file", str(request.query_params.get("provider_type", ""))
            )
        except CcproxyError as exc:
            raise ParseError(str(exc)) from None
        shape = _stored(found, request, activate=False)
        return Response(ShapeDetailSerializer(shape).data, status=201)

    # Versions

    def perform_update(self, serializer: Any) -> None:
        before = Shape.objects.get(pk=serializer.instance.pk).active
        wanted = serializer.validated_data.pop("active", before)
        shape: Shape = serializer.save()
        if wanted and not before:
            activate_version(shape, by=caller_of(self.request))
        elif before and not wanted:
            deactivate(shape.provider_type, by=caller_of(self.request))
        shape.refresh_from_db()

    def perform_destroy(self, instance: Shape) -> None:
        delete_version(instance, by=caller_of(self.request))

    @extend_schema(request=None, responses=ShapeSerializer)
    @action(detail=True, methods=["post"])
    def activate(self, request: Request, pk: str) -> Response:
        """Let requests take this version within a second; an older one is a rollback."""
        del pk
        shape = self.get_object()
        with _conflicts():
            activate_version(shape, by=caller_of(request))
        return Response(ShapeSerializer(shape).data)

    @extend_schema(request=None, responses=ShapeSerializer)
    @action(detail=True, methods=["post"])
    def deactivate(self, request: Request, pk: str) -> Response:
        """Let requests to this version's provider type leave unshaped."""
        del pk
        shape = self.get_object()
        deactivate(shape.provider_type, by=caller_of(request))
        shape.refresh_from_db()
        return Response(ShapeSerializer(shape).data)

    @extend_schema(
        responses=OpenApiTypes.OBJECT,
        parameters=[OpenApiParameter("other", OpenApiTypes.INT, OpenApiParameter.PATH)],
    )
    @action(detail=True, url_path=r"diff/(?P<other>\d{1,18})", pagination_class=None)
    def diff(self, request: Request, pk: str, other: str) -> Response:
        """Return the unified diff from this version to another one, by their ids."""
        del request, pk
        before = self.get_object()
        after = Shape.objects.filter(pk=int(other)).first()
        if after is None:
            raise NotFound("There is no such shape.")
        labels = (str(before), str(after))
        found = compare_texts("shape", labels, shape_lines(before), shape_lines(after))
        return Response(found.as_json())

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(detail=True)
    def mflow(self, request: Request, pk: str) -> HttpResponse:
        """Return the version as a mitmproxy capture, without its patches."""
        del request, pk
        from shapes.files.directory import mflow_of

        shape = self.get_object()
        response = HttpResponse(mflow_of(shape), content_type="application/octet-stream")
        name = f"{shape.provider_type}.mflow"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        response["X-Content-Type-Options"] = "nosniff"
        return response


def _review(values: dict[str, Any]) -> Review:
    try:
        return review(_flow(values), values["provider_type"], values["keep"])
    except CaptureRefused as exc:
        raise ValidationError({"flow": [str(exc)]}) from None


def _flow(values: dict[str, Any]) -> CompleteFlow:
    if not values["flow"]:
        return newest_valid(values["provider_type"])
    flow = load_flow(values["flow"])
    if flow is None:
        raise ValidationError({"flow": ["There is no such flow; it may have been cleared."]})
    return flow


def _stored(found: Review, request: Request, *, activate: bool) -> Shape:
    if found.same_as is not None:
        raise Conflict(f"{found.same_as} has this content already.")
    with _conflicts():
        return save_version(found.shape, by=caller_of(request), activate=activate)


@contextmanager
def _conflicts() -> Iterator[None]:
    """Turn refusals of the services into responses with 409."""
    try:
        yield
    except CcproxyError as exc:
        raise Conflict(str(exc)) from None


def _asked(form: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """Return the checked values of a request's body; a misspelt field is refused."""
    serializer = form(data=data)
    if isinstance(data, dict) and (unknown := sorted(set(map(str, data)) - set(serializer.fields))):
        raise ValidationError(unknown_fields(unknown, serializer.fields))
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values
