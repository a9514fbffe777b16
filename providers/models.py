"""Models of providers, transform rules, prices, the audit log and the configuration's revision."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F

from providers.base.names import PROVIDER_TYPES, RULE_ACTIONS, SERVER_TOOLS
from providers.fallbacks import MAX_COOLDOWN_S
from providers.fields import EncryptedTextField
from providers.validation import validate_fact, validate_provider, validate_rule

_PRICE: dict[str, Any] = {
    "max_digits": 12,
    "decimal_places": 6,
    "validators": [MinValueValidator(0)],
}
_AS_INPUT = "Blank: as input."


class ConfigRevision(models.Model):
    """One row whose number grows with every change of the proxy's configuration."""

    number = models.PositiveBigIntegerField(default=1)
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"revision {self.number}"

    @classmethod
    def bump(cls) -> None:
        """Raise the number. Running interceptors notice within a second."""
        if not cls.objects.filter(pk=1).update(number=F("number") + 1):
            cls.objects.get_or_create(pk=1)

    @classmethod
    def current(cls) -> int:
        """Return the number of the newest configuration."""
        return cls.objects.get_or_create(pk=1)[0].number


class ConfigQuerySet(models.QuerySet[Any]):
    """Queryset whose bulk writes bump the revision too; they send no signals."""

    def update(self, **kwargs: Any) -> int:
        rows = super().update(**kwargs)
        ConfigRevision.bump()
        return rows

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[Any]:
        made = super().bulk_create(objs, *args, **kwargs)
        ConfigRevision.bump()
        return made

    def bulk_update(self, objs: Any, *args: Any, **kwargs: Any) -> int:
        rows = super().bulk_update(objs, *args, **kwargs)
        ConfigRevision.bump()
        return rows

    def delete(self) -> tuple[int, dict[str, int]]:
        gone = super().delete()
        ConfigRevision.bump()
        return gone


ConfigManager = models.Manager.from_queryset(ConfigQuerySet)


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


class CredentialState(models.Model):
    """State of a login that all processes and machines of this database share.

    On PostgreSQL the row is also the lock: the process that renews the login holds it. Times are
    unknown until they happen.
    """

    key = models.CharField(primary_key=True, max_length=64)  # SHA-256 of the login's kind and file
    tokens = EncryptedTextField(
        blank=True, default="", help_text="The newest tokens, by their position in the file."
    )
    current = models.CharField(max_length=64, blank=True)
    ancestors = models.JSONField(
        default=list, help_text="Fingerprints of the refresh tokens the newest came from."
    )
    machine = models.CharField(max_length=255, blank=True)
    refreshed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(null=True)
    refused = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)
    tried_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"login {self.key[:8]}"


class FailureCount(models.Model):
    """Count of recent wrong passwords for all processes of this database.

    See `providers.web.throttle`.
    """

    key = models.CharField(primary_key=True, max_length=64)
    failures = models.PositiveIntegerField(default=0)
    since = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.failures} failures"


class TransformRule(models.Model):
    """Override of sentinel routing. The first enabled rule whose conditions all match decides."""

    position = models.PositiveIntegerField(
        default=0, db_index=True, help_text="Rules are tried in ascending order."
    )
    enabled = models.BooleanField(default=True)
    name = models.CharField(max_length=100, blank=True)
    action = models.CharField(
        max_length=16, choices={a: a for a in RULE_ACTIONS}, default="redirect"
    )
    match_host = models.CharField(
        max_length=1000,
        blank=True,
        help_text="Regular expression (RE2), searched in the host. Blank: any host.",
    )
    match_path = models.CharField(
        max_length=1000, blank=True, default=".*", help_text="Searched in the path with its query."
    )
    match_model = models.CharField(
        max_length=1000, blank=True, help_text="Searched in the body's model."
    )
    dest_provider = models.ForeignKey(
        Provider, on_delete=models.PROTECT, null=True, blank=True, related_name="rules"
    )
    dest_host = models.CharField(
        max_length=253, blank=True, help_text="Raw host; overrides the provider's."
    )
    dest_path = models.CharField(
        max_length=512, blank=True, help_text="Raw path template; overrides the provider's."
    )
    dest_model = models.CharField(
        max_length=200, blank=True, help_text="Model name for the provider; replaces the client's."
    )
    dest_vertex_project = models.CharField(max_length=100, blank=True)
    dest_vertex_location = models.CharField(max_length=64, blank=True)
    server_tools = models.CharField(
        max_length=16,
        blank=True,
        choices=SERVER_TOOLS,
        help_text="As of a provider; blank: as the provider says.",
    )
    fallbacks = models.JSONField(
        default=list,
        blank=True,
        help_text="Who gets a request that failed, in order; blank: as the provider says.",
    )
    retry = models.JSONField(
        default=dict,
        blank=True,
        help_text="Retries of failed requests, as of a provider; blank: as the provider says.",
    )
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = ConfigManager()

    class Meta:
        verbose_name = "rule"
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name or f"rule {self.pk}"

    def clean(self) -> None:
        validate_rule(self)


class PriceOverride(models.Model):
    """The operator's price, in US dollars per million tokens. It overrides the built-in price
    table.
    """

    position = models.PositiveIntegerField(
        default=0, db_index=True, help_text="The first that matches is used."
    )
    enabled = models.BooleanField(default=True)
    provider = models.CharField(
        max_length=64,
        blank=True,
        help_text="Name of the provider; * and ? stand for any text. Blank: any provider.",
    )
    model = models.CharField(
        max_length=200,
        help_text=(
            "Name of the model as it is sent, such as “claude-haiku-*”; * and ? stand for text."
        ),
    )
    input_usd = models.DecimalField("input, $ per million tokens", **_PRICE)
    output_usd = models.DecimalField("output, $ per million tokens", **_PRICE)
    cache_read_usd = models.DecimalField(
        "cache read", **_PRICE, null=True, blank=True, help_text=_AS_INPUT
    )
    cache_write_usd = models.DecimalField(
        "cache write", **_PRICE, null=True, blank=True, help_text=_AS_INPUT
    )
    cache_write_1h_usd = models.DecimalField(
        "cache write, kept for an hour",
        **_PRICE,
        null=True,
        blank=True,
        help_text="Blank: as a cache write.",
    )
    comment = models.TextField(blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["position", "id"]
        verbose_name = "price"

    def __str__(self) -> str:
        return f"{self.model} at {self.provider or 'any provider'}"


class ModelFact(models.Model):
    """The operator's facts about models. They override those that ccproxy ships."""

    position = models.PositiveIntegerField(
        default=0, db_index=True, help_text="Later rows override earlier ones."
    )
    enabled = models.BooleanField(default=True)
    model = models.CharField(
        max_length=200,
        help_text="Name of the model as it is sent; * and ? stand for any text.",
    )
    host = models.CharField(
        max_length=253,
        blank=True,
        help_text="The provider's host; * and ? stand for any text. Blank: any host.",
    )
    facts = models.JSONField(
        help_text='Facts by name, such as {"refuses": ["temperature"], "max_output_tokens": 8192}.'
    )
    source = models.CharField(max_length=500, blank=True, help_text="Where the facts are from.")
    comment = models.TextField(blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = ConfigManager()

    class Meta:
        ordering = ["position", "id"]
        verbose_name = "model fact"

    def __str__(self) -> str:
        return f"{self.model} at {self.host or 'any host'}"

    def clean(self) -> None:
        validate_fact(self)


class AuditEntry(models.Model):
    """One act, written before it was done.

    People never change rows; `outcome` holds the result.
    """

    ACTIONS = {
        "reveal": "Stored secret shown",
        "test": "Credential tested",
        "renew": "Login renewed",
        "login": "Logged in to a provider",
        "credential-change": "Credential changed",
        "command-change": "Credential command changed",
        "config-change": "Configuration changed",
        "client-token-add": "Client token made",
        "client-token-remove": "Client token removed",
        "api-token-add": "API token made",
        "api-token-remove": "API token removed",
        "export": "Flows exported",
        "clear": "Flows cleared",
        "replay": "Request sent again",
        "perplexity-thread": "Perplexity thread changed or deleted",
        "rotate-key": "Encryption key rotated",
        "shape-save": "Shape stored",
        "shape-activate": "Shape activated",
        "shape-deactivate": "Shape deactivated",
        "shape-delete": "Shape deleted",
        "shape-acknowledge": "Terms for shaping confirmed or withdrawn",
    }
    SOURCES = {"console": "console", "api": "API", "command": "command line", "mcp": "MCP"}
    OUTCOMES = {"begun": "begun", "done": "done", "refused": "refused", "failed": "failed"}

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    action = models.CharField(max_length=32, choices=ACTIONS)
    target = models.CharField("done to", max_length=200, blank=True)
    actor = models.CharField("who", max_length=200)
    source = models.CharField("by", max_length=16, choices=SOURCES)
    address = models.CharField("from", max_length=200, blank=True)
    outcome = models.CharField(max_length=16, choices=OUTCOMES, default="begun")
    detail = models.TextField(blank=True)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {self.target}"
