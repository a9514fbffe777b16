"""Settings of hooks, client tokens, and the heartbeat of running proxies."""

from __future__ import annotations

from django.db import models

from interceptor.validation import validate_client_token, validate_hook_setting
from providers.fields import EncryptedTextField
from providers.models import ConfigManager


class HookSetting(models.Model):
    """One hook of the pipeline: stage, place and parameters."""

    stage = models.CharField(
        max_length=10, choices={"inbound": "inbound", "outbound": "outbound", "seal": "seal"}
    )
    position = models.PositiveIntegerField(
        default=0, help_text="Ties in the dependency order are broken by position."
    )
    name = models.CharField(
        max_length=200, help_text="A built-in hook's name, or the dotted path of your own function."
    )
    enabled = models.BooleanField(default=True)
    params = models.JSONField(default=dict, blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = ConfigManager()  # type: ignore[django-manager-missing]

    class Meta:
        verbose_name = "hook"
        ordering = ["stage", "position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["stage", "name"], name="hook_once_per_stage")
        ]

    def __str__(self) -> str:
        return f"{self.stage}/{self.name}"

    def clean(self) -> None:
        validate_hook_setting(self)


class ClientToken(models.Model):
    """A named key that clients show in `x-ccproxy-token`; only its SHA-256 is stored."""

    name = models.CharField(max_length=64, unique=True)
    token_sha256 = models.CharField(max_length=64, unique=True)
    providers = models.JSONField(
        default=list,
        blank=True,
        help_text="Names of the providers it may use; an empty list means all.",
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ConfigManager()  # type: ignore[django-manager-missing]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        before = ClientToken.objects.filter(pk=self.pk).first() if self.pk else None
        validate_client_token(self, before)


class InterceptorStatus(models.Model):
    """The heartbeat of one proxy process, which its configuration watcher writes."""

    instance = models.CharField(primary_key=True, max_length=100)  # host name and pid
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()
    version = models.CharField(max_length=32, blank=True)
    endpoints = models.JSONField(
        default=dict, help_text="proxy_url, console_url, ca_path, config_dir, database"
    )
    revision = models.PositiveBigIntegerField(default=0, help_text="The configuration it runs on.")
    refused_revision = models.PositiveBigIntegerField(null=True, blank=True)
    refusal = models.TextField(blank=True, help_text="Why the newer configuration was refused.")
    restart_needed = models.JSONField(
        default=list, help_text="Settings that changed but need a restart."
    )
    queue_depth = models.PositiveIntegerField(default=0)
    bodies_dropped = models.PositiveBigIntegerField(default=0)
    records_dropped = models.PositiveBigIntegerField(default=0)
    writer_error = models.TextField(blank=True)
    active_flows = models.PositiveIntegerField(default=0)
    cooldowns = models.JSONField(
        default=list,
        help_text="Candidates that chains of fallbacks skip: provider, model, until, cause.",
    )
    measures = models.JSONField(
        default=list,
        help_text="Metrics of the recorder, each [name, labels, value]; one proxy's row has them.",
    )

    class Meta:
        verbose_name = "interceptor"

    def __str__(self) -> str:
        return self.instance


class CarriedReasoning(models.Model):
    """Reasoning that a client's format cannot carry, for the next turn of its conversation."""

    digest = models.CharField(
        primary_key=True, max_length=64, help_text="Digest of the tool call that it led to."
    )
    text = EncryptedTextField(help_text="Signature, or packed reasoning.")
    kept_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.digest[:12]


class RememberedThread(models.Model):
    """A thread at Perplexity that the next request of a conversation continues, once."""

    key = models.CharField(
        primary_key=True, max_length=64, help_text="Digest of client, provider and all texts."
    )
    ids = EncryptedTextField(help_text="What continues the thread, as JSON.")
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key[:12]


class NotifyTask(models.Model):
    """A task of another program that sends events for a session."""

    task_id = models.CharField(max_length=200, unique=True)
    session_id = models.CharField(max_length=200, db_index=True)
    claude_session_id = models.CharField(max_length=200, blank=True, db_index=True)
    last_seen = models.DateTimeField(db_index=True)
    kept = models.PositiveIntegerField(default=0, help_text="Its rows of events.")
    dropped = models.PositiveIntegerField(
        default=0, help_text="Events that were dropped, because there were too many."
    )

    def __str__(self) -> str:
        return self.task_id


class NotifyEvent(models.Model):
    """An event that waits, or that a flow took and has not delivered yet."""

    task = models.ForeignKey(NotifyTask, on_delete=models.CASCADE)
    event = models.TextField(help_text="A JSON object.")
    size_bytes = models.PositiveIntegerField()
    taken_by = models.CharField(max_length=64, blank=True, db_index=True)
    taken_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"event {self.pk} of {self.task_id}"


class PerplexityModel(models.Model):
    """A model that clients may name at a Perplexity account."""

    name = models.CharField(max_length=100, unique=True, help_text="As clients write it.")
    identifier = models.CharField(max_length=100, help_text="As Perplexity's web page writes it.")
    mode = models.CharField(
        max_length=20,
        default="copilot",
        choices={"search": "search", "copilot": "copilot", "research": "research"},
    )
    tier = models.CharField(
        max_length=10,
        default="pro",
        choices={"pro": "Pro", "max": "Max"},
        help_text="The plan that the account needs; for people, it is not checked.",
    )
    position = models.PositiveIntegerField(default=100, help_text="Order in lists.")

    objects = ConfigManager()  # type: ignore[django-manager-missing]

    class Meta:
        verbose_name = "Perplexity model"
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name
