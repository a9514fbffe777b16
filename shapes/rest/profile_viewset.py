"""REST: profiles of provider types, and the confirmation that their terms apply."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from providers.audit.log import caller_of
from providers.base.names import PROVIDER_TYPES
from providers.services import CODE_REFUSED, may_set_code
from shapes.models import ShapingProfile
from shapes.replay.inner_hook_names import own_hooks
from shapes.rest.permission import HasRights
from shapes.rest.serializers import AcknowledgementSerializer, ProfileSerializer
from shapes.versions.activation import TERMS, acknowledge, withdraw
from shapes.versions.candidates import profiles
from shapes.versions.rights import Act

_NOT_CONFIRMED: Final = f"Send “confirm” with this sentence: {TERMS}"


@extend_schema_view(list=extend_schema(responses=ProfileSerializer(many=True)))
class ProfileViewSet(viewsets.GenericViewSet[ShapingProfile]):
    """Profiles, by provider type: the shipped ones, and those of your own shapes."""

    queryset = ShapingProfile.objects.all()
    serializer_class = ProfileSerializer
    permission_classes = [HasRights]
    pagination_class = None
    filter_backends = ()
    lookup_field = "provider_type"
    lookup_value_regex = r"[a-z0-9_]{1,32}"
    acts: dict[str, Act] = {
        "partial_update": "edit-profile",
        "acknowledge": "acknowledge",
        "withdraw": "acknowledge",
    }

    def list(self, request: Request) -> Response:
        """Return all profiles."""
        del request
        return Response(ProfileSerializer(many=True, instance=profiles()).data)

    def retrieve(self, request: Request, provider_type: str) -> Response:
        """Return a profile; a type without a stored one has the shipped values."""
        del request
        return Response(ProfileSerializer(_profile(provider_type)).data)

    def partial_update(self, request: Request, provider_type: str) -> Response:
        """Change a profile. The confirmation of the terms stays."""
        profile = _profile(provider_type)
        known = own_hooks(profile.shape_hooks)
        serializer = ProfileSerializer(profile, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        added = own_hooks(serializer.validated_data.get("shape_hooks", [])) - known
        if added and not may_set_code(request.user):
            raise ValidationError({"shape_hooks": [CODE_REFUSED]})
        serializer.save()
        return Response(serializer.data)

    @extend_schema(request=AcknowledgementSerializer, responses=ProfileSerializer)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, provider_type: str) -> Response:
        """Confirm that the provider's terms apply; the audit log keeps name and time."""
        _profile(provider_type)
        data: Any = request.data
        if not isinstance(data, dict) or data.get("confirm") != TERMS:
            raise ValidationError({"confirm": [_NOT_CONFIRMED]})
        return Response(ProfileSerializer(acknowledge(provider_type, by=caller_of(request))).data)

    @extend_schema(request=None, responses=ProfileSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, provider_type: str) -> Response:
        """Take the confirmation back: no request to this provider type is shaped any more."""
        _profile(provider_type)
        withdraw(provider_type, by=caller_of(request))
        return Response(ProfileSerializer(_profile(provider_type)).data)


def _profile(provider_type: str) -> ShapingProfile:
    if provider_type not in PROVIDER_TYPES:
        raise NotFound("There is no such provider type.")
    return ShapingProfile.of(provider_type)
