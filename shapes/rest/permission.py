"""Permission of DRF by the table that the pages use too."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request

from shapes.versions.rights import RIGHTS, Act


class HasRights(IsAdminUser):
    """Permission for staff with the rights of the view's action.

    The view names them in `acts`: action of the router → act; other actions only look.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        act: Act = view.acts.get(view.action, "look")
        return super().has_permission(request, view) and request.user.has_perms(RIGHTS[act])
