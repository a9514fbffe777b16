"""Base of the REST resources that are no rows: their rights come from one table."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.views import APIView

from flows.queries.rights import RIGHTS, Act


class MayAct(IsAdminUser):
    """Permission for staff with the rights of the act that the view names for a method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        act: Act = view.acts.get(request.method, "look")
        return super().has_permission(request, view) and request.user.has_perms(RIGHTS[act])


class RecordView(APIView):
    """A view over what was recorded, for staff who may look at flows."""

    permission_classes = [MayAct]
    acts: ClassVar[dict[str, Act]] = {}
    """HTTP method → act; other methods only look."""
