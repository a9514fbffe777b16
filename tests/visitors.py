"""Users of the console with few rights."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission, User


def staff_with(name: str, *rights: str, **fields: Any) -> User:
    """A member of the staff with these rights alone: `flows.view_flow`."""
    user = User.objects.create_user(name, is_staff=True, **fields)
    for right in rights:
        app, _, codename = right.partition(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    return user


def viewer(name: str = "ada", **fields: Any) -> User:
    """A member of the staff who may look at flows and do no more."""
    return staff_with(name, "flows.view_flow", **fields)
