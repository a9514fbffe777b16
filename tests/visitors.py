"""Users of the console with few rights."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission, User


def viewer(name: str = "ada", **fields: Any) -> User:
    """A member of the staff who may look at flows and do no more."""
    user = User.objects.create_user(name, is_staff=True, **fields)
    user.user_permissions.add(Permission.objects.get(codename="view_flow"))
    return user
