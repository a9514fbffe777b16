"""Recorded calls of reference clients, and shapes made of them, for tests."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone

from flows.bodies.complete_flow import CompleteFlow, load_flow
from flows.models import Flow
from providers.audit.log import Caller
from shapes.active_rows import parts_of
from shapes.models import Shape, ShapePatch
from shapes.replay.shape_document import document_text
from shapes.replay.unified_diff import make_diff
from shapes.versions.activation import acknowledge, save_version
from shapes.versions.capturing import review
from tests.parts import change_sides
from tests.rows import make_flow

BOSS = Caller("boss", "console", "127.0.0.1")
CANARY = "CANARY-4711"
UUID = "6f1c2b7a-93de-4c55-8a0e-2b7a93de4c55"
NEWEST = "0a1b2c3d-1616-4000-8000-000000000001"
"""Id of the flow of the newest release in `seed_shapes`."""
URL = "https://api.anthropic.com/v1/messages?beta=true"
JA3_FULL = "771,4865-4866-4867,0-23-65281-10-11-16,29-23-24,0"


def client_body(**fields: Any) -> dict[str, Any]:
    """The body of a reference client, with a user's prompt and ids in it."""
    return {
        "model": "claude-haiku-4-5",
        "max_tokens": 32000,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.331.a1b;"},
            {"type": "text", "text": "You are a reference client.", "cache_control": {"type": "e"}},
            {"type": "text", "text": f"{CANARY} of ada@host.org in /home/ada/work"},
        ],
        "messages": [{"role": "user", "content": f"{CANARY}: what is in /home/ada/work?"}],
        "metadata": {"user_id": json.dumps({"device_id": CANARY, "session_id": UUID})},
        "stream": True,
        **fields,
    }


def client_headers(version: str = "2.1.331") -> list[list[str]]:
    """The headers of a reference client, in its order."""
    return [
        ["Host", "api.anthropic.com"],
        ["accept", "application/json"],
        ["authorization", "‹redacted 3f9a21›"],
        ["content-type", "application/json"],
        ["user-agent", f"claude-cli/{version} (external, sdk-cli)"],
        ["x-claude-code-session-id", UUID],
        ["x-stainless-os", "Linux"],
        ["anthropic-beta", "oauth-2025-04-20,interleaved-thinking-2025-05-14"],
        ["anthropic-version", "2023-06-01"],
        ["content-length", "1234"],
    ]


def captured_flow(
    version: str = "2.1.331",
    *,
    body: dict[str, Any] | None = None,
    flow_id: str = "",
    **fields: Any,
) -> CompleteFlow:
    """A call of a captured client that the provider accepted."""
    content = client_body() if body is None else body
    flow: Flow = make_flow(
        body=json.dumps(content, ensure_ascii=False).encode(),
        **{
            "id": flow_id or str(uuid.uuid4()),
            "source": "wireguard",
            "client_format": "anthropic_messages",
            "client_url": URL,
            "forwarded_url": URL,
            "user_agent": f"claude-cli/{version} (external, sdk-cli)",
            "run_label": "claude-1",
            "provider": "",
            "ja3": "0" * 32,
            "ja3_full": JA3_FULL,
            "ja4": "t13d0306h2_000000000000_000000000000",
            **fields,
        },
    )
    change_sides(flow.pk, "client", "forwarded", headers=client_headers(version))
    complete = load_flow(flow.pk)
    assert complete is not None
    return complete


def recorded_sdk_flow() -> Flow:
    """A recorded request of an SDK to the provider “anthropic”, with its sentinel key."""
    body = {
        "model": "claude-haiku-4-5",
        "max_tokens": 10,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hi"}],
    }
    flow = make_flow(
        body=json.dumps(body).encode(),
        provider_type="anthropic",
        client_url="http://127.0.0.1:4000/v1/messages",
        user_agent="anthropic-sdk/1.0",
    )
    headers = [
        ["host", "127.0.0.1:4000"],
        ["x-api-key", "sk-ccproxy-anthropic"],
        ["content-type", "application/json"],
        ["user-agent", "anthropic-sdk/1.0"],
    ]
    change_sides(flow.pk, "client", headers=headers)
    return flow


def seed_shapes() -> str:
    """Two versions of which the newer one is refused, and a newer release; return its flow's id."""
    first = stored_shape("2.1.330", activate=True, age_s=90_000)
    second = stored_shape("2.1.331", activate=True, age_s=9_000)
    Shape.objects.filter(pk=first.pk).update(
        activated_at=timezone.now() - timedelta(days=1), notes="Before the new beta flag"
    )
    Shape.objects.filter(pk=second.pk).update(activated_at=timezone.now() - timedelta(hours=2))
    diff = make_diff(
        document_text(parts_of(second)),
        document_text(parts_of(second)).replace('"Linux"', '"MacOS"'),
    )
    ShapePatch.objects.create(shape=second, name="0001-os.patch", diff=diff)
    for number in range(12):
        make_flow(age_s=20_000 + number, shape="anthropic v1")
    for number in range(9):
        make_flow(age_s=600 + number, status_code=400, shape="anthropic v2")
    for number in range(3):
        make_flow(age_s=500 + number, shape="anthropic v2")
    acknowledge("anthropic", by=BOSS)
    body = client_body(odd={"mode": "careful", "note": "written by ada"})
    return str(captured_flow("2.1.332", body=body, age_s=300, flow_id=NEWEST).flow.pk)


def stored_shape(version: str = "2.1.331", *, activate: bool = False, **fields: Any) -> Shape:
    """A stored version made of such a call."""
    found = review(captured_flow(version, **fields), "anthropic")
    return save_version(found.shape, by=BOSS, activate=activate)
