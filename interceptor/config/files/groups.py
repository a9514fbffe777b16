"""Groups of server settings: one frozen model for each mapping of `ccproxy.yaml`. No Django.

Defaults and meanings are the reference that docs/configuration.md is generated from. Names end in
their unit.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from interceptor.config.files.pydantic_plugins import search_no_plugins

# Before the first model of a process.
search_no_plugins()

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Texts = tuple[str, ...]
Size = Annotated[str, Field(pattern=r"^\d+[kmgKMG]?$")]


class Group(BaseModel):
    """A frozen mapping of settings; a key it does not know is an error."""

    # Built once, with the outermost group: a group alone would be built for nothing.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_groups(cls, data: Any) -> Any:
        """Read a group whose keys are all commented out as its defaults; YAML reads it as null."""
        if not isinstance(data, dict):
            return data
        groups = {
            name for name, info in cls.model_fields.items() if isinstance(info.default, Group)
        }
        return {key: value for key, value in data.items() if value is not None or key not in groups}


def _size(value: Any) -> Any:
    """Accept a size that is written as a bare number of bytes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


SizeText = Annotated[Size, BeforeValidator(_size)]


class SecretSource(Group):
    """A secret that is read when it is needed: the output of a command or the content of a file."""

    type: Literal["command", "file"] | None = None
    command: str | None = None
    file: str | None = None
    header: str | None = None


class AuthSettings(Group):
    """Time limits of credential sources."""

    command_timeout_seconds: Seconds = Field(5, description="Limit of a credential command.")
    refresh_timeout_seconds: Seconds = Field(
        10, description="Limit of one call to a token endpoint."
    )
    refresh_headroom_seconds: float = Field(
        60, ge=0, description="Refresh a token this long before it expires."
    )


class ReadinessSettings(Group):
    """The probe of the network at start."""

    url: str | None = Field(
        None,
        pattern=r"^https?://",
        description="URL asked once at start (HEAD); null: no probe, start offline.",
    )
    timeout_seconds: Seconds = Field(5, description="Limit of the probe.")


class MitmproxySettings(Group):
    """Options of mitmproxy that are passed on under their own names."""

    confdir: str | None = Field(
        None, description="mitmproxy's own directory; null: `inspector.cert_dir`."
    )
    ssl_insecure: bool = Field(
        False,
        description=(
            "Accept any certificate of an upstream. Never applies where a credential is injected."
        ),
    )
    ssl_verify_upstream_trusted_ca: str | None = Field(
        None, description="PEM file of further certificate authorities to trust."
    )
    stream_large_bodies: SizeText | None = Field(
        None,
        description=(
            "Stream a response over this size even where it would be buffered, such as an error"
            " page; e.g. 10m. Requests are always read completely."
        ),
    )
    body_size_limit: SizeText | None = Field(
        "200m", description="Refuse requests with a body over this size, e.g. 50m; null: no limit."
    )
    web_open_browser: bool = Field(
        False, description="Open the console in a browser at start, by its one-time login link."
    )
    ignore_hosts: Texts = Field(
        (),
        description="Regular expressions of hosts; captured connections to them pass unread.",
    )
    allow_hosts: Texts = Field(
        (),
        description=(
            "Regular expressions of hosts; captured connections to all others pass unread. Empty:"
            " every one is read."
        ),
    )
    termlog_verbosity: Literal["error", "warn", "info", "alert", "debug"] = Field(
        "warn", description="Lowest level of mitmproxy's own lines in the log."
    )
    flow_detail: int = Field(
        0,
        ge=0,
        le=4,
        description=(
            "Lines in the log about each flow that ends. 0: none; 1: request and status; 2: and"
            " headers; 3: and the beginning of bodies and messages; 4: and all of them. Without"
            " secrets."
        ),
    )


class InspectorSettings(Group):
    """The interceptor's listeners and certificates."""

    port: Port = Field(8083, description="Port of the console and its API.")
    cert_dir: str | None = Field(
        None, description="Directory of the certificate authority; null: config directory."
    )
    provider_map: dict[str, str] = Field(
        {
            "api.anthropic.com": "anthropic",
            "api.openai.com": "openai",
            "generativelanguage.googleapis.com": "google",
            "openrouter.ai": "openrouter",
        },
        description="Host to the `gen_ai.system` that traces carry; others carry the host itself.",
    )
    wireguard_port: Port | None = Field(
        None,
        description=(
            "UDP port on 127.0.0.1 of the WireGuard listener for clients outside; 0: any free one;"
            " null: none."
        ),
    )
    forward_port: Port | None = Field(
        None,
        description=(
            "Port of a forward proxy for clients that no command starts, at the proxy's bind"
            " address; each shows a client token as the password. 0: any free one; null: none."
        ),
    )
    keylog: bool = Field(
        False,
        description=(
            "Write tls.keylog and wg.keylog. Off, because every reader of them can decrypt every"
            " captured connection."
        ),
    )
    dns_overrides: dict[str, str] = Field(
        {},
        description="Name to address: what captured commands get when they look the name up.",
    )
    upstream_overrides: dict[str, str] = Field(
        {},
        description=(
            "Host to ADDRESS:PORT: where connections to the host really go. Certificates are still"
            " checked for the host's own name."
        ),
    )
    readiness: ReadinessSettings = ReadinessSettings()
    mitmproxy: MitmproxySettings = MitmproxySettings()


class ConsoleSettings(Group):
    """Where the console answers; its port is `inspector.port`."""

    host: str = Field("127.0.0.1", min_length=1, description="Bind address of the console.")
    hosts: Texts = Field((), description="Further host names the console may be reached by.")
    origins: Texts = Field(
        (), description="Further origins whose forms it accepts, e.g. https://ccproxy.example."
    )
    trusted_proxies: Texts = Field(
        (), description="Addresses of proxies in front of it whose X-Forwarded-For is believed."
    )


class OtelSettings(Group):
    """Export of traces; see docs/telemetry.md."""

    enabled: bool = Field(
        False, description="Export a span for each flow; see [telemetry.md](telemetry.md)."
    )
    endpoint: str = Field(
        "http://localhost:4317",
        min_length=1,
        description=(
            "OTLP endpoint, http:// without TLS or https://. At the default,"
            " OTEL_EXPORTER_OTLP_ENDPOINT counts."
        ),
    )
    protocol: Literal["grpc", "http/protobuf"] | None = Field(
        None,
        description="Protocol of the endpoint; null: OTEL_EXPORTER_OTLP_PROTOCOL, or else grpc.",
    )
    service_name: str = Field("ccproxy", min_length=1, description="Service name of the spans.")
    propagate: bool = Field(
        False,
        description=(
            "Send `traceparent` to providers, with our span as the parent. Off: requests leave as"
            " the client and the hooks made them."
        ),
    )
    capture_content: bool = Field(
        False,
        description=(
            "Put prompts and responses into the spans, without secrets, at most 32 KB each. Every"
            " reader of the traces then reads the conversations."
        ),
    )
    legacy_names: bool = Field(
        True, description="Add `gen_ai.system`, the deprecated name of the provider."
    )


class RetentionSettings(Group):
    """Limits of the record; the oldest flows that are not pinned go first. null: no limit."""

    max_age_days: float | None = Field(
        30, gt=0, description="Delete flows older than this; null: no limit."
    )
    max_flows: int | None = Field(
        200_000, ge=1, description="Keep at most this many flows; null: no limit."
    )
    max_bytes: int | None = Field(
        10 * 1024**3,
        ge=1,
        description="Keep at most this many stored bytes of bodies; null: no limit.",
    )


class FlowsSettings(Group):
    """The record of flows."""

    default_jq_filters: Texts = Field(
        (), description="jq filters applied before those of a `flows` command."
    )
    not_recorded_header: bool = Field(
        False,
        description=(
            "Add the header x-ccproxy-recording: no to providers' responses while flows are not"
            " stored."
        ),
    )
    retention: RetentionSettings = RetentionSettings()


class GeminiCapacitySettings(Group):
    """Retries and fallbacks when Gemini has no capacity."""

    enabled: bool = Field(
        True,
        description=(
            "Try again, and ask other models, when Code Assist has no capacity; see"
            " [gemini.md](gemini.md)."
        ),
    )
    retry_status_codes: tuple[int, ...] = Field(
        (429, 503, 500), description="Statuses of errors that are tried again."
    )
    fallback_models: Texts = Field((), description="Models to ask next, in order.")
    sticky_retry_attempts: int = Field(
        3, ge=0, le=10, description="Further attempts with the same model."
    )
    sticky_retry_max_delay_seconds: Seconds = Field(
        60,
        description="Longest wait before one of them; after a longer one the next model is asked.",
    )
    terminal_delay_threshold_seconds: Seconds = Field(
        300, description="Give up when the provider asks for a longer wait."
    )
    total_retry_budget_seconds: Seconds = Field(
        120, description="Longest time spent on one request."
    )


class ShapingSettings(Group):
    """Shapes of known-good requests. The profiles, `providers`, live in the database."""

    enabled: bool = Field(
        True,
        description=(
            "Let requests take shapes, where a person acknowledged the provider's terms and"
            " activated a version. false: none does."
        ),
    )
    shapes_dir: str | None = Field(
        None,
        description=(
            "Directory of `ccproxy shapes import` and `export`; null: shapes/ in the config"
            " directory."
        ),
    )
