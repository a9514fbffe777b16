"""A signed-in superuser, and one of everything."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.rows import make_one_of_each


@pytest.fixture
def boss(db) -> User:
    return User.objects.create_superuser("boss")


@pytest.fixture
def browser(boss: User) -> Client:
    client = Client()
    client.force_login(boss)
    return client


@pytest.fixture
def one_of_each(boss: User) -> None:
    make_one_of_each(boss)
