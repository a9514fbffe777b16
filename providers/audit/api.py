"""REST resource of the audit log. Read-only, for superusers."""

from __future__ import annotations

from typing import Any

from rest_framework import mixins, serializers, viewsets
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from providers.models import AuditEntry
from providers.web.rest import refuse_parameters


class SuperusersRead(BasePermission):
    """Permission for active superusers."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        del view
        return bool(request.user.is_active and request.user.is_superuser)


class AuditPagination(CursorPagination):
    """Pagination by time, newest first."""

    ordering = ("-at", "-id")
    page_size = 100


class AuditSerializer(serializers.ModelSerializer[AuditEntry]):
    """One recorded act: account, time, action, target, address and outcome."""

    class Meta:
        model = AuditEntry
        fields = ["id", "at", "action", "target", "actor", "source", "address", "outcome", "detail"]


class AuditViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[AuditEntry]
):
    """The audit log, newest first."""

    queryset = AuditEntry.objects.all()
    serializer_class = AuditSerializer
    permission_classes = [SuperusersRead]
    pagination_class = AuditPagination
    filterset_fields = {
        "action": ["exact"],
        "actor": ["exact"],
        "outcome": ["exact"],
        "source": ["exact"],
    }
    lookup_value_regex = r"\d{1,18}"

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return the newest entries that the filters keep."""
        refuse_parameters(request, {*self.filterset_fields, AuditPagination.cursor_query_param})
        return super().list(request, *args, **kwargs)
