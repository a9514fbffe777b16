"""A signed-in superuser, and one of everything."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from rest_framework.authtoken.models import Token

from interceptor.access.client_token import create_client_token
from interceptor.models import HookSetting
from providers.audit.log import Caller, record_audit
from providers.models import PriceOverride
from shapes.models import Shape
from tests.rows import make_flow, make_provider, make_rule, make_status


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
    provider = make_provider(auth_type="key", secret="sk-canary-4711-do-not-show")
    make_rule(dest_provider=provider, action="redirect", match_model="^claude")
    make_flow(rule_id=1)
    make_status()
    HookSetting.objects.create(stage="inbound", name="inject_auth")
    create_client_token("laptop")
    Shape.objects.create(provider="anthropic", blob=b"x")
    PriceOverride.objects.create(model="m", input_usd=1, output_usd=2)
    Group.objects.create(name="readers")
    Token.objects.create(user=boss)
    record_audit("reveal", "provider anthropic", by=Caller("boss", "console", "127.0.0.1"))
