"""Tables of the record: a narrow row a flow, a row with its sides and hooks, bodies by digest."""

from __future__ import annotations

from django.db import models

from flows.console_rows import Resend as Resend
from flows.console_rows import SavedFilter as SavedFilter
from flows.failure import ERROR_STATE, FIRST_ERROR_STATUS, LIVE_STATE
from flows.flow_link import FlowLink as FlowLink
from flows.flow_text import FlowText as FlowText
from flows.flow_text import SearchSegment as SearchSegment
from flows.flow_text import SearchShelf as SearchShelf
from flows.record import CAPTURED, AttemptRecord
from flows.sides import (
    FlowSide,
    HookTrace,
    read_attempts,
    read_sides,
    read_traces,
)
from flows.usage_daily import UsageDaily as UsageDaily

FAILED = (
    models.Q(state=ERROR_STATE)
    | models.Q(status_code__gte=FIRST_ERROR_STATUS)
    # A websocket that is still open may have failed already.
    | models.Q(state=LIVE_STATE) & ~models.Q(error="")
)
"""Condition of the flows that failed, as `flows.failure` decides; an index has it too."""
INTERRUPTED = "The proxy stopped while this flow was running."
"""Error of the flows that were running when their process went."""


class Flow(models.Model):
    """One request and its response. The row is narrow: lists never load headers or bodies."""

    class State(models.TextChoices):
        LIVE = "live", "live"
        DONE = "done", "done"
        ERROR = "error", "error"

    # mitmproxy's own flow id.
    id = models.CharField(primary_key=True, max_length=36)
    state = models.CharField(max_length=8, choices=State, default=State.LIVE)
    source = models.CharField(max_length=16, default="reverse")
    instance = models.CharField(
        max_length=100, blank=True, help_text="Process that handled it, as host:pid."
    )
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    imported_at = models.DateTimeField(
        null=True, blank=True, help_text="Import of a capture; retention counts from it."
    )

    method = models.CharField(max_length=32)
    host = models.CharField(
        max_length=255,
        blank=True,
        help_text="Host it was sent to; until it is routed, the host the client named.",
    )
    path = models.TextField(help_text="The client's path with its query, secrets redacted.")
    client_url = models.TextField(blank=True)
    forwarded_url = models.TextField(blank=True)
    user_agent = models.CharField(max_length=255, blank=True)
    client_format = models.CharField(max_length=32, blank=True)
    provider_format = models.CharField(max_length=32, blank=True)

    action = models.CharField(
        max_length=16, blank=True, help_text="local, passthrough, redirect, transform, refused"
    )
    provider = models.CharField(max_length=64, blank=True)
    provider_type = models.CharField(max_length=32, blank=True)
    rule = models.CharField(max_length=100, blank=True)
    rule_id = models.PositiveBigIntegerField(null=True, blank=True)
    route = models.TextField(blank=True, help_text="Reason for the destination, as one sentence.")
    revision = models.PositiveBigIntegerField(default=0)
    requested_model = models.CharField(max_length=200, blank=True)
    sent_model = models.CharField(max_length=200, blank=True)
    session_id = models.CharField(max_length=200, blank=True)
    conversation_id = models.CharField(max_length=64, blank=True)
    credential_injected = models.BooleanField(default=False)
    shape = models.CharField(
        max_length=48, blank=True, help_text="Version of the shape that the request took."
    )
    shape_problem = models.CharField(
        max_length=500, blank=True, help_text="Why it took no shape, or left unsigned."
    )
    run_label = models.CharField(
        max_length=64, blank=True, help_text="Name of the captured command."
    )
    run_command = models.CharField(max_length=1000, blank=True)
    ja3 = models.CharField(
        max_length=32, blank=True, help_text="Fingerprint of the client's TLS; MD5 of ja3_full."
    )
    ja3_full = models.TextField(blank=True)
    ja4 = models.CharField(max_length=48, blank=True)
    ja4_r = models.TextField(blank=True, help_text="JA4 with the lists themselves.")

    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    is_stream = models.BooleanField(default=False)
    is_websocket = models.BooleanField(default=False)
    error = models.TextField(blank=True)
    hooks_changed = models.JSONField(
        default=list, help_text="Names of the hooks that changed something, in order."
    )
    hooks_ran = models.TextField(
        null=True,
        blank=True,
        help_text="Names of the hooks that ran, in order, as JSON without spaces.",
    )

    connect_ms = models.FloatField(null=True, blank=True)
    first_byte_ms = models.FloatField(null=True, blank=True)
    first_event_ms = models.FloatField(null=True, blank=True)
    duration_ms = models.FloatField(null=True, blank=True)
    request_size_bytes = models.PositiveBigIntegerField(default=0)
    response_size_bytes = models.PositiveBigIntegerField(default=0)
    event_count = models.PositiveIntegerField(default=0)

    input_tokens = models.PositiveIntegerField(null=True, blank=True)
    output_tokens = models.PositiveIntegerField(null=True, blank=True)
    cache_read_tokens = models.PositiveIntegerField(null=True, blank=True)
    cache_write_tokens = models.PositiveIntegerField(null=True, blank=True)
    reasoning_tokens = models.PositiveIntegerField(null=True, blank=True)
    cost_usd = models.DecimalField(max_digits=14, decimal_places=8, null=True, blank=True)
    price_version = models.CharField(
        max_length=64, blank=True, help_text="Version of the price list behind the cost."
    )

    losses = models.JSONField(
        default=list, help_text="Fields that the translation could not express, with reasons."
    )
    is_lossy = models.BooleanField(default=False, help_text="The translation lost something.")
    bodies_dropped = models.BooleanField(
        default=False, help_text="The queue was full: headers were kept, bodies were dropped."
    )
    pinned = models.BooleanField(default=False, help_text="Exempt from retention.")
    asked = models.CharField(
        max_length=200, blank=True, help_text="The user's last text, on one line."
    )
    tool_result = models.CharField(
        max_length=200,
        blank=True,
        help_text="The tool results that the request ends with, on one line.",
    )
    said = models.CharField(
        max_length=200, blank=True, help_text="The response's text or tools, on one line."
    )
    indexed = models.BooleanField(
        null=True, editable=False, help_text="Linked with earlier flows; unset until then."
    )
    searched = models.BooleanField(
        null=True, editable=False, help_text="The search index has it; unset until then."
    )
    search_text = models.TextField(
        blank=True,
        help_text="At most 4 KB of lower-case text that a search finds until it is indexed.",
    )

    class Meta:
        ordering = ["-started_at", "-id"]
        indexes = [
            # The columns after the id order nothing: filters on them are decided without reading
            # the wide rows.
            models.Index(
                fields=[
                    "-started_at",
                    "-id",
                    "cost_usd",
                    "duration_ms",
                    "input_tokens",
                    "output_tokens",
                    "is_lossy",
                ],
                name="flow_newest",
            ),
            models.Index(fields=["provider", "-started_at"], name="flow_provider"),
            models.Index(fields=["status_code", "-started_at"], name="flow_status"),
            models.Index(fields=["session_id", "started_at"], name="flow_session"),
            models.Index(
                fields=["run_label", "-started_at"],
                name="flow_run",
                condition=~models.Q(run_label=""),
            ),
            models.Index(
                fields=["rule_id", "-started_at"],
                name="flow_rule",
                condition=models.Q(rule_id__isnull=False),
            ),
            models.Index(
                fields=["shape", "-started_at"],
                name="flow_shape",
                condition=~models.Q(shape=""),
            ),
            models.Index(
                fields=["imported_at", "started_at"],
                name="flow_imported",
                condition=models.Q(imported_at__isnull=False),
            ),
            models.Index(fields=["-started_at", "-id"], name="flow_failed", condition=FAILED),
            # Orders of the list by a figure, the same in both directions.
            models.Index(
                fields=["cost_usd", "id"],
                name="flow_cost",
                condition=models.Q(cost_usd__isnull=False),
            ),
            models.Index(
                fields=["duration_ms", "id"],
                name="flow_duration",
                condition=models.Q(duration_ms__isnull=False),
            ),
            models.Index(
                fields=["input_tokens", "id"],
                name="flow_input_tokens",
                condition=models.Q(input_tokens__isnull=False),
            ),
            models.Index(
                fields=["started_at"],
                name="flow_unindexed",
                condition=models.Q(indexed__isnull=True),
            ),
            models.Index(
                fields=["started_at"],
                name="flow_unsearched",
                condition=models.Q(searched__isnull=True),
            ),
        ]

    @property
    def is_shape_candidate(self) -> bool:
        """A captured client's successful call of a model: a shape may be made of it."""
        is_accepted = self.status_code is not None and 200 <= self.status_code < 300
        return self.is_captured and bool(self.client_format) and is_accepted

    @property
    def is_captured(self) -> bool:
        """True where the client sent it to another host: from a jail, or by the forward proxy."""
        return self.source in CAPTURED

    @property
    def sides(self) -> dict[str, FlowSide]:
        """The sides by name.

        Read many flows with `select_related("parts")`, or each one queries its own.
        """
        parts: FlowParts | None = getattr(self, "parts", None)
        return parts.by_side() if parts else {}

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status_code or self.state}"


class FlowBody(models.Model):
    """A body, stored once for all sides that share it, alone or as what it adds to its base."""

    # BLAKE2b-256 of the body's bytes, hex.
    digest = models.CharField(primary_key=True, max_length=64)
    encoding = models.CharField(
        max_length=8,
        default="zstd",
        help_text=(
            "Form of the stored bytes: “raw” is the body itself, “zstd” is compressed alone, "
            "“splice” lists blocks of the base and the new bytes between them, “delta” is "
            "compressed by zstd with the base as its dictionary."
        ),
    )
    size_bytes = models.PositiveBigIntegerField()
    blob = models.BinaryField()
    # Of a splice or a delta; the database refuses to delete it while another body needs it.
    base = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False
    )

    class Meta:
        indexes = [
            models.Index(fields=["base"], name="body_base", condition=models.Q(base__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.digest[:12]} ({self.size_bytes} bytes)"


class FlowParts(models.Model):
    """Sides and hook traces of a flow, as JSON texts that `flows.sides` reads and writes.

    TextField instead of JSONField: the database only searches them for text, which has to be the
    same on every database.
    """

    flow = models.OneToOneField(
        Flow, on_delete=models.CASCADE, primary_key=True, related_name="parts"
    )
    headers = models.TextField(
        default="[]", help_text="Lists of the sides' headers, secrets redacted."
    )
    sides = models.TextField(default="[]")
    steps = models.TextField(default='{"headers":[],"steps":[]}')

    def __str__(self) -> str:
        return f"parts of {self.flow_id}"

    def by_side(self) -> dict[str, FlowSide]:
        """The sides by name."""
        return read_sides(self.headers, self.sides)

    def traces(self) -> list[HookTrace]:
        """The hooks' traces, in order."""
        return read_traces(self.headers, self.steps)

    def attempts(self) -> list[AttemptRecord]:
        """Return the attempts of a request that was sent several times."""
        return read_attempts(self.steps)


class BodyRef(models.Model):
    """A flow whose sides or hooks need a body. Bodies without such a row may be deleted."""

    pk = models.CompositePrimaryKey("flow_id", "digest")
    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="+", db_index=False)
    digest = models.CharField(max_length=64, db_index=True)

    def __str__(self) -> str:
        return f"{self.digest[:12]} of {self.flow_id}"


class WebSocketMessage(models.Model):
    """One message of a proxied websocket."""

    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="websocket_messages")
    seq = models.PositiveIntegerField()
    at_ms = models.FloatField(help_text="Milliseconds since the flow began.")
    from_client = models.BooleanField()
    is_text = models.BooleanField()
    size_bytes = models.PositiveBigIntegerField()
    body_digest = models.CharField(max_length=64, db_index=True)

    class Meta:
        ordering = ["seq"]
        constraints = [models.UniqueConstraint(fields=["flow", "seq"], name="one_row_per_message")]

    def __str__(self) -> str:
        return f"message {self.seq} of {self.flow_id}"
