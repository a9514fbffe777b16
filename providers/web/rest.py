"""Parts that all REST endpoints share: the models' rules, rights, and errors without a 500."""

from __future__ import annotations

import copy
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS
from django.core.exceptions import ValidationError as ModelError
from django.db import DataError, IntegrityError, OperationalError
from django.db.models import Model, ProtectedError
from rest_framework import serializers, viewsets
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.permissions import DjangoModelPermissions, IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from providers.models import ConfigRevision


class Conflict(APIException):
    """The write contradicts what is stored."""

    status_code = 409
    default_detail = "This contradicts what is already stored."
    default_code = "conflict"


class Busy(APIException):
    """The database does not respond in time."""

    status_code = 503
    default_detail = "The database is busy. Try again in a moment."
    default_code = "busy"


class StaffWithModelPermissions(IsAdminUser, DjangoModelPermissions):
    """Permission for staff with the rights they have in the admin. Reading needs the view right."""

    perms_map = {
        **DjangoModelPermissions.perms_map,
        "GET": ["%(app_label)s.view_%(model_name)s"],
        "HEAD": ["%(app_label)s.view_%(model_name)s"],
    }

    def has_permission(self, request: Request, view: Any) -> bool:
        return IsAdminUser.has_permission(
            self, request, view
        ) and DjangoModelPermissions.has_permission(self, request, view)


class FullCleanSerializer[M: Model](serializers.ModelSerializer[M]):
    """Model serializer that also runs the model's `full_clean`, and refuses unknown keys."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(map(str, data)) - set(self.fields))):
            raise ValidationError(
                {name[:100]: ["There is no such field."] for name in unknown[:20]}
            )
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        candidate = self.candidate(attrs)
        try:
            candidate.full_clean(validate_unique=False, validate_constraints=False)
        except ModelError as exc:
            raise ValidationError(_by_field(exc)) from None
        return attrs

    def candidate(self, attrs: dict[str, Any]) -> M:
        """Build the row as it would be saved."""
        candidate: M = copy.copy(self.instance) if self.instance is not None else self.Meta.model()  # type: ignore[misc]
        for name, value in attrs.items():
            setattr(candidate, name, value)
        return candidate


def _by_field(exc: ModelError) -> dict[str, list[str]]:
    if not hasattr(exc, "error_dict"):
        return {"non_field_errors": exc.messages}
    return {
        "non_field_errors" if k == NON_FIELD_ERRORS else k: v for k, v in exc.message_dict.items()
    }


class ConfigViewSet[M: Model](viewsets.ModelViewSet[M]):
    """CRUD on a part of the proxy's configuration.

    Responses to writes name the revision that carries them.
    """

    permission_classes = [StaffWithModelPermissions]
    pagination_class = None
    filter_backends = ()

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if request.method not in ("GET", "HEAD", "OPTIONS") and response.status_code < 300:
            response["x-ccproxy-revision"] = str(ConfigRevision.current())
        return response


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Turn refusals of the database and the models into responses with a reason."""
    if isinstance(exc, ModelError):
        exc = ValidationError(_by_field(exc))
    elif isinstance(exc, ProtectedError):
        users = ", ".join(sorted(str(row) for row in exc.protected_objects))
        exc = Conflict(f"Still used by: {users}. Change or delete these first.")
    elif isinstance(exc, IntegrityError):
        exc = Conflict()
    elif isinstance(exc, DataError):
        exc = ParseError("A value cannot be stored.")
    elif isinstance(exc, OperationalError):
        exc = Busy()
    return drf_exception_handler(exc, context)
