"""A made-up reference client, the shape of its request, and a provider that takes no other's.

Names, texts and constants are inventions of these tests.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from uuid import UUID

import xxhash

from interceptor.config.snapshot.schema import Snapshot
from interceptor.hooks.table import HookConf
from interceptor.shaping.active_shape import ActiveShape
from interceptor.shaping.inner_plan import active_shape
from shapes.replay.billing_line import first_user_text
from shapes.replay.compiled_shape import ShapeRow
from shapes.replay.shape_document import ShapeParts
from shapes.replay.shipped_profiles import SHIPPED
from tests.fakes.upstream import Script, Seen, Upstream
from tests.interceptor.proxied import DEFAULT_HOOKS, KEYRING, provider, snapshot

SALT, SEED, POSITIONS = "0a0b0c", "0x1234abcd", (0, 2, 5)
SESSION = "11111111-2222-4333-8444-555555555555"
BILLING = "x-anthropic-billing-header: cc_version=9.8.7.fff; cc_entrypoint=ref; cch=abcde;"
IDENTITY = "You are the reference client."
FLAG = "ref-flag-2026-01-01"
REDACTS = "redact-thinking-2026-01-01"

HEADERS = (
    ("accept", "application/json"),
    ("anthropic-beta", f"{FLAG},{REDACTS}"),
    ("anthropic-version", "2023-06-01"),
    ("content-type", "application/json"),
    ("user-agent", "ref-cli/9.8.7 (external)"),
    ("x-app", "ref"),
    ("x-claude-code-session-id", SESSION),
)
BODY: dict[str, Any] = {
    "system": [{"type": "text", "text": BILLING}, {"type": "text", "text": IDENTITY}],
    "ref_mode": {"fast": True},
}


def shape_row(provider_type: str = "anthropic", **changes: Any) -> ShapeRow:
    """Return the reference client's shape with the shipped profile of a provider type."""
    values = SHIPPED[provider_type]
    row = ShapeRow(
        provider_type=provider_type,
        version=3,
        parts=ShapeParts(
            "POST", "https://ref.example", "/v1/messages", "beta=true", HEADERS, json.dumps(BODY)
        ),
        client_version="9.8.7",
        key_order=("model", "system", "messages", "ref_mode", "max_tokens"),
        content_fields=values.content_fields,
        merge_strategies=values.merge_strategies,
        shape_hooks=values.shape_hooks,
        preserve_headers=values.preserve_headers,
        strip_headers=values.strip_headers,
    )
    return replace(row, **changes)


def with_constants(row: ShapeRow) -> ShapeRow:
    """Return a row whose billing line can be signed."""
    return replace(
        row,
        billing_salt=KEYRING.encrypt(SALT),
        billing_seed=KEYRING.encrypt(SEED),
        billing_positions=POSITIONS,
    )


def active(row: ShapeRow) -> Mapping[str, ActiveShape]:
    """Return the shapes of a snapshot in which this one is active."""
    return MappingProxyType({row.provider_type: active_shape(row)})


SHAPE_HOOK = HookConf("outbound", "shape", 2)
HOOKS = (
    *DEFAULT_HOOKS[:-1],
    SHAPE_HOOK,
    HookConf("outbound", "commitbee_compat", 3),
)


def shaped_snapshot(
    upstream: Upstream, row: ShapeRow, hooks: tuple[HookConf, ...] = HOOKS, **more: Any
) -> Snapshot:
    """Return a configuration with one Anthropic provider, and the shape active."""
    return replace(snapshot(provider("up", upstream.port), hooks=hooks, **more), shapes=active(row))


class ReferenceProvider:
    """Answers like the scripted provider, but refuses every request without the marks.

    With `signed`, it also computes the billing line's digests over the received bytes.
    """

    def __init__(self, upstream: Upstream, *, signed: bool = False) -> None:
        self._upstream = upstream
        self._signed = signed
        upstream.scripts["/v1/messages"] = self

    def __call__(self, seen: Seen) -> Script:
        problem = self.problem(seen)
        if problem:
            body = {"type": "error", "error": {"type": "invalid_request_error", "message": problem}}
            return Script(
                status=401 if "header" in problem else 400, pieces=(json.dumps(body).encode(),)
            )
        return self._upstream.scripted_answer(seen)

    def problem(self, seen: Seen) -> str:
        """Return what a request lacks, or ""."""
        if FLAG not in (seen.header("anthropic-beta") or "").split(","):
            return "the header anthropic-beta lacks the flag"
        if seen.header("x-app") != "ref":
            return "the header x-app is missing"
        session = seen.header("x-claude-code-session-id") or ""
        if session == SESSION or UUID(session).version != 4:
            return "the header with the session is a captured one"
        if "beta=true" not in seen.target:
            return "the query lacks beta=true"
        body = seen.json
        if body["system"][1]["text"] != IDENTITY:
            return "the system prompt has another beginning"
        if body.get("ref_mode") != {"fast": True}:
            return "the field ref_mode is missing"
        return self._wrong_signature(seen.body, body) if self._signed else ""

    def _wrong_signature(self, data: bytes, body: dict[str, Any]) -> str:
        """Compare the line's digests with those over the received bytes, written independently."""
        line = body["system"][0]["text"]
        found = re.search(r"cc_version=([0-9.]+)\.([0-9a-f]{3}); .*cch=([0-9a-f]{5});", line)
        assert found is not None, line
        version, suffix, digest = found.groups()
        text = first_user_text(body)
        sample = "".join(text[at] if at < len(text) else "0" for at in POSITIONS)
        wanted = hashlib.sha256(bytes.fromhex(SALT) + f"{sample}{version}".encode()).hexdigest()[:3]
        if suffix != wanted:
            return f"the version's digits are {suffix}, not {wanted}"
        start = data.index(b"cch=", data.index(b"x-anthropic-billing-header: cc_version")) + 4
        zeroed = data[:start] + b"00000" + data[start + 5 :]
        wanted = f"{xxhash.xxh64_intdigest(zeroed, int(SEED, 16)) & 0xFFFFF:05x}"
        return "" if digest == wanted else f"the digest is {digest}, not {wanted}"
