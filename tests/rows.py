"""Rows for tests of the console and the API."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import zstandard
from django.contrib.auth.models import Group, User
from django.utils import timezone
from rest_framework.authtoken.models import Token

from ccproxy_site.models import SentNotice
from flows.models import Flow, FlowBody
from flows.sides import FlowSide, HookTrace
from interceptor.access.client_token import create_client_token
from interceptor.models import HookSetting, InterceptorStatus, PerplexityModel
from providers.audit.log import Caller, record_audit
from providers.models import ModelFact, PriceOverride, Provider, TransformRule
from providers.wire.perplexity.ask_conf import DEFAULT_CATALOGUE
from shapes.models import Shape, ShapingProfile, shipped_fields
from tests.parts import put_parts


def make_provider(name: str = "anthropic", **fields: Any) -> Provider:
    """A provider without a credential."""
    return Provider.objects.create(
        **{
            "name": name,
            "type": "anthropic",
            "host": "api.anthropic.com",
            "path": "/v1/messages",
            **fields,
        }
    )


def make_rule(**fields: Any) -> TransformRule:
    """A rule that lets everything pass."""
    return TransformRule.objects.create(**{"name": "let pass", "action": "passthrough", **fields})


def make_flow(*, body: bytes = b"", age_s: float = 0, **fields: Any) -> Flow:
    """A finished flow with its four sides and one hook; all sides share `body`."""
    started_at = timezone.now() - timedelta(seconds=age_s)
    defaults = {
        "id": str(uuid.uuid4()),
        "state": "done",
        "started_at": started_at,
        "finished_at": started_at + timedelta(seconds=1),
        "method": "POST",
        "host": "api.anthropic.com",
        "path": "/v1/messages?beta=true",
        "client_url": "http://127.0.0.1:4000/v1/messages?beta=true",
        "forwarded_url": "https://api.anthropic.com/v1/messages?beta=true",
        "provider": "anthropic",
        "requested_model": "claude-haiku-4-5",
        "status_code": 200,
        "first_byte_ms": 120.0,
        "duration_ms": 1000.0,
        "hooks_changed": ["inject_auth"],
    }
    flow = Flow.objects.create(**{**defaults, **fields})
    digest = _store(body)
    sides = []
    for side in ("client", "forwarded", "upstream", "delivered"):
        request = side in ("client", "forwarded")
        made = FlowSide(
            side=side,
            http_version="HTTP/1.1",
            method="POST" if request else "",
            url={"client": flow.client_url, "forwarded": flow.forwarded_url}.get(side, ""),
            status_code=None if request else flow.status_code,
            headers=[["Host", "api.anthropic.com"], ["x-side", side]],
            body_digest=digest,
            body_size_bytes=len(body),
            chunk_times=[[0, 1.0]],
        )
        sides.append(made)
    put_parts(
        flow.pk, sides, [HookTrace(seq=0, stage="inbound", hook="inject_auth", outcome="ran")]
    )
    return flow


def _store(body: bytes) -> str:
    if not body:
        return ""
    digest = uuid.uuid4().hex
    FlowBody.objects.create(digest=digest, size_bytes=len(body), blob=zstandard.compress(body))
    return digest


def make_status(*, age_s: float = 0, **fields: Any) -> InterceptorStatus:
    """The heartbeat of an interceptor, `age_s` seconds old."""
    now = timezone.now()
    defaults = {
        "instance": "host-1",
        "started_at": now,
        "heartbeat_at": now - timedelta(seconds=age_s),
        "revision": 1,
    }
    return InterceptorStatus.objects.create(**{**defaults, **fields})


def fill_catalogue() -> None:
    """The rows that a migration makes, and that the flush of a test with transactions removes."""
    if PerplexityModel.objects.exists():
        return
    PerplexityModel.objects.bulk_create(
        PerplexityModel(
            name=model.id,
            identifier=model.identifier,
            mode=model.mode,
            tier=model.tier,
            position=number,
        )
        for number, model in enumerate(DEFAULT_CATALOGUE, 1)
    )


def make_one_of_each(user: User) -> None:
    """One row of every model that the admin shows."""
    fill_catalogue()
    provider = make_provider(auth_type="key", secret="sk-canary-4711-do-not-show")
    make_rule(dest_provider=provider, action="redirect", match_model="^claude")
    make_flow(rule_id=1)
    make_status()
    HookSetting.objects.create(stage="inbound", name="inject_auth")
    create_client_token("laptop")
    ShapingProfile.objects.create(provider_type="anthropic", **shipped_fields("anthropic"))
    Shape.objects.create(
        provider_type="anthropic",
        path="/v1/messages",
        body="{}",
        activated_at=timezone.now(),
    )
    PriceOverride.objects.create(model="m", input_usd=1, output_usd=2)
    ModelFact.objects.create(model="m", facts={"refuses": ["temperature"]})
    SentNotice.objects.create(made_at=timezone.now(), kind="failure", text="it failed")
    Group.objects.create(name="readers")
    Token.objects.create(user=user)
    record_audit("reveal", "provider anthropic", by=Caller("boss", "console", "127.0.0.1"))
