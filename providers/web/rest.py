"""Parts that all REST endpoints share: the models' rules, rights, and errors without a 500."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import Any, NoReturn

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

from providers.base.nearest import capitalised, name_hint, no_such
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


def unknown_fields(unknown: Sequence[str], known: Collection[str]) -> dict[str, list[str]]:
    """Return the errors of fields or parameters that do not exist, by field.

    Example: `{"nmae": ["There is no such field; did you mean name? There are: id, name"]}`.
    """
    return {
        name[:100]: [f"There is no such field; {name_hint(name, known)}"] for name in unknown[:20]
    }


class HintingChoiceField(serializers.ChoiceField):
    """A choice whose refusal suggests the value that may have been meant."""

    def fail(self, key: str, **values: Any) -> NoReturn:
        if key != "invalid_choice":
            super().fail(key, **values)
        known = [str(choice) for choice in self.choices]
        raise ValidationError(capitalised(no_such("choice", str(values["input"]), known)), key)


class HintingSlugField[M: Model](serializers.SlugRelatedField[M]):
    """A row by its name, whose refusal suggests the row that may have been meant."""

    def fail(self, key: str, **values: Any) -> NoReturn:
        if key != "does_not_exist":
            super().fail(key, **values)
        rows = self.get_queryset()
        if rows is None or self.slug_field is None:
            super().fail(key, **values)
        known = [str(name) for name in rows.values_list(self.slug_field, flat=True)]
        kind = str(rows.model._meta.verbose_name)
        raise ValidationError(capitalised(no_such(kind, str(values["value"]), known)), key)


class StrictSerializer[M: Model](serializers.ModelSerializer[M]):
    """Model serializer that refuses unknown keys, and suggests those that were meant."""

    serializer_choice_field = HintingChoiceField

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(map(str, data)) - set(self.fields))):
            raise ValidationError(unknown_fields(unknown, self.fields))
        return super().to_internal_value(data)


class FullCleanSerializer[M: Model](StrictSerializer[M]):
    """Strict serializer that also runs the model's `full_clean`."""

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


def refuse_parameters(request: Request, known: Collection[str] = ()) -> None:
    """Refuse a list with a parameter that it would ignore: a misspelt filter matches every row.

    Raises:
        ParseError: names the first unknown parameter, and those there are.
    """
    unknown = sorted(set(request.query_params) - {*known, "format"})
    if unknown:
        message = "There is no such parameter"
        if known:
            message = f"{message}; {name_hint(unknown[0], known)}"
        raise ParseError({unknown[0][:100]: [f"{message}."]})


class ConfigViewSet[M: Model](viewsets.ModelViewSet[M]):
    """CRUD on a part of the proxy's configuration.

    Responses to writes name the revision that carries them.
    """

    permission_classes = [StaffWithModelPermissions]
    pagination_class = None
    filter_backends = ()
    list_parameters: Collection[str] = ()
    """Parameters that the list knows; others are a mistake."""

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return the rows."""
        refuse_parameters(request, self.list_parameters)
        return super().list(request, *args, **kwargs)

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
