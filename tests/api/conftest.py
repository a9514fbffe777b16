"""API clients: a superuser's, a reader's and a stranger's."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from ccproxy_site.console.api_tokens import create_api_token

RESOURCES = [
    "providers",
    "rules",
    "hooks",
    "shapes",
    "shaping-profiles",
    "client-tokens",
    "interceptors",
    "flows",
]


def client_of(user: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Token {create_api_token(user)}")
    return client


@pytest.fixture
def api(db) -> APIClient:
    return client_of(User.objects.create_superuser("boss"))


@pytest.fixture
def reader(db) -> APIClient:
    user = User.objects.create_user("reader", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return client_of(user)


@pytest.fixture
def stranger(db) -> APIClient:
    return client_of(User.objects.create_user("stranger"))
