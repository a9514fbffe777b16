"""Providers: where requests go, and with which credential."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from providers.base.names import PROVIDER_TYPES, SERVER_TOOLS
from providers.fallbacks import MAX_COOLDOWN_S
from providers.fields import EncryptedTextField
from providers.models.config_revision import ConfigManager
from providers.validation import validate_provider


class Provider(models.Model):
    """Destination of requests: host, path, wire family and source of its credential."""

    AUTH_TYPES = {
        "none": "No credential",
        "key": "API key, stored encrypted",
        "command": "Output of a command",
        "file": "Content of a file",
        "anthropic_oauth": "Anthropic login, renewed",
        "google_oauth": "Google login, renewed",
        "codex_oauth": "OpenAI login of Codex, renewed",
    }

    name = models.CharField(
        max_length=64,
        unique=True,
        validators=[
            RegexValidator(
                r"^[A-Za-z0-9][A-Za-z0-9._-]*$", "Letters, digits, dot, dash and underscore only."
            )
        ],
        help_text="Also the ending of its sentinel keys: sk-ccproxy-NAME.",
    )
    enabled = models.BooleanField(default=True)
    type = models.CharField(
        max_length=32, choices=PROVIDER_TYPES, help_text="Wire family of its main endpoint."
    )
    scheme = models.CharField(
        max_length=5, choices={"https": "https", "http": "http"}, default="https"
    )
    host = models.CharField(
        max_length=253, help_text="Host name or address, without scheme and port."
    )
    port = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(65535)],
        help_text="Blank: 443 or 80.",
    )
    path = models.CharField(
        max_length=512,
        default="/",
        help_text="Path of the main endpoint; {model} and {action} are filled in.",
    )
    native_formats = models.JSONField(
        default=list,
        blank=True,
        help_text="Further wire formats that this host accepts on the same base path.",
    )
    verify_tls = models.BooleanField(
        default=True, help_text="Off only for hosts that get no credential."
    )
    headers = models.JSONField(
        default=dict, blank=True, help_text="Extra headers set on every request, name to value."
    )
    model_names = models.JSONField(
        default=list,
        blank=True,
        help_text="Model names for /v1/models; blank: from the price catalogue.",
    )
    fingerprint_profile = models.CharField(max_length=64, blank=True)
    server_tools = models.CharField(
        max_length=16,
        blank=True,
        choices=SERVER_TOOLS,
        help_text=(
            "What happens to tools that run at the client's own vendor, such as web search, in a"
            " translated request. Blank: left out."
        ),
    )
    retry = models.JSONField(
        default=dict,
        blank=True,
        help_text=(
            'Retries of failed requests, e.g. {"attempts": 3, "statuses": [429, 503, "connect"],'
            ' "budget_seconds": 30}. Blank: none.'
        ),
    )
    fallbacks = models.JSONField(
        default=list,
        blank=True,
        help_text=(
            'Who gets a request that failed here, in order, e.g. ["backup", "local/small-model"].'
        ),
    )
    cooldown_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(MAX_COOLDOWN_S)],
        help_text=(
            "How long chains of fallbacks skip it after a failure that names no time; doubles with"
            " each further one. 0: never skipped. Blank: 5."
        ),
    )
    auth_type = models.CharField(max_length=32, choices=AUTH_TYPES, default="none")
    auth_config = models.JSONField(
        default=dict,
        blank=True,
        help_text='What the source needs, e.g. {"file": "~/.config/key"}. Never a secret.',
    )
    auth_header = models.CharField(
        max_length=64,
        blank=True,
        help_text="Header that carries the credential; blank: authorization with Bearer.",
    )
    secret = EncryptedTextField(
        blank=True, default="", help_text="The API key, or a login's client secret."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = ConfigManager()

    class Meta:
        ordering = ["name"]
        permissions = [("reveal_secret", "Can see stored secrets of providers")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        validate_provider(self)
