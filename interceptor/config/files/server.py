"""Server settings: `ccproxy.yaml` of the config directory, overridden by variables. No Django.

What a user tunes while the proxy runs (providers, rules, hooks) lives in the database; this is what
a process needs before it can start. The file may hold those sections too: they are checked here and
applied by `importconfig`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from interceptor.config.files.groups import (
    AuthSettings,
    ConsoleSettings,
    FlowsSettings,
    GeminiCapacitySettings,
    Group,
    InspectorSettings,
    OtelSettings,
    Port,
    Seconds,
    ShapingSettings,
    Texts,
)
from interceptor.config.files.sections.mcp_section import McpSettings
from interceptor.config.files.sections.notices_section import NoticesSettings
from interceptor.config.files.sections.perplexity_section import PplxSettings
from providers.base.errors import ConfigError
from providers.base.loopback import local_url
from providers.base.upstream_proxy import SETTING, parse_setting

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


class ServerSettings(Group):
    """Settings that a process needs before it can start."""

    host: str = Field("127.0.0.1", min_length=1, description="Bind address of the proxy.")
    port: Port = Field(4000, description="Port of the proxy.")
    allowed_hosts: Texts = Field(
        (),
        description=(
            "Further host names by which clients call the proxy, e.g. host.docker.internal."
        ),
    )
    allowed_origins: Texts = Field(
        (),
        description=(
            "Origins of programs that send one, e.g. app://my-editor: they may call the proxy and"
            " read its responses (CORS). Web pages have no business here."
        ),
    )
    own_credentials: bool = Field(
        True,
        description=(
            "Let clients bring their own credential: a request to the base path /to/PROVIDER is"
            " forwarded to that provider's host with what the client sent. false: none is."
        ),
    )
    log_level: Annotated[LogLevel, BeforeValidator(_upper)] = Field(
        "INFO", description="Level of the log."
    )
    log_file: str | None = Field(
        "ccproxy.log",
        min_length=1,
        description="Log file, relative to the config directory; null: none.",
    )
    use_journal: bool = Field(False, description="Log to the systemd journal.")
    journal_identifier: str | None = Field(
        None,
        description="Identifier in the journal; null: derived from the config directory's name.",
    )
    provider_timeout: Seconds | None = Field(
        None,
        description=(
            "Limit of the proxy's own requests to providers: until the response begins to one that"
            " is sent again (null: as to any other), and of a list of models (null: 5)."
        ),
    )
    shutdown_timeout_seconds: float = Field(
        10, ge=0, description="How long open streams may go on after a request to stop."
    )
    stream_idle_timeout_seconds: Seconds = Field(
        300,
        description=(
            "Give a provider up that was silent for this long, before its response or within it."
        ),
    )
    upstream_proxy: str | None = Field(
        None,
        repr=False,
        description=(
            "HTTP proxy by which providers, token endpoints and model lists are reached, e.g."
            " http://user:password@proxy.corp:3128. null: as HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"
            " say; direct: none. NO_PROXY and this machine are reached directly."
        ),
    )
    auth: AuthSettings = AuthSettings()
    inspector: InspectorSettings = InspectorSettings()
    console: ConsoleSettings = ConsoleSettings()
    otel: OtelSettings = OtelSettings()
    flows: FlowsSettings = FlowsSettings()
    gemini_capacity: GeminiCapacitySettings = GeminiCapacitySettings()
    pplx: PplxSettings = PplxSettings()
    mcp: McpSettings = McpSettings()
    notices: NoticesSettings = NoticesSettings()
    shaping: ShapingSettings = ShapingSettings()

    @field_validator("upstream_proxy")
    @classmethod
    def _usable_proxy(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_setting(value)
            except ConfigError as exc:
                raise ValueError(str(exc).removeprefix(f"{SETTING}: ")) from None
        return value

    def log_path(self, directory: Path) -> Path | None:
        """Return the absolute path of the log file, or None when there is none."""
        return directory / Path(self.log_file).expanduser() if self.log_file else None

    def cert_dir(self, directory: Path) -> Path:
        """Return the directory of the certificate authority."""
        chosen = self.inspector.cert_dir or self.inspector.mitmproxy.confdir
        return directory / Path(chosen).expanduser() if chosen else directory

    def journal_name(self, directory: Path) -> str:
        """Return the SYSLOG_IDENTIFIER: as set, or derived from the config directory."""
        if self.journal_identifier:
            return self.journal_identifier
        if directory.name == ".ccproxy":
            return f"ccproxy-{directory.parent.name}"
        return "ccproxy" if directory.name == "ccproxy" else f"ccproxy-{directory.name}"

    @property
    def proxy_url(self) -> str:
        """The base URL for clients on this machine."""
        return local_url(self.host, self.port)

    @property
    def console_url(self) -> str:
        """The console's URL on this machine."""
        return local_url(self.console.host, self.inspector.port)
