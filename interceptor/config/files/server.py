"""Server settings: `ccproxy.yaml` in the config directory, overridden by `CCPROXY_*` variables. No
Django.

What a user tunes while the proxy runs (providers, rules, hooks) lives in the database; this is what
a process needs before it can start. The file may hold those sections too: they are checked here and
applied by `importconfig`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from interceptor.config.files import environment
from interceptor.config.files.document import Document, read_document, refuse
from interceptor.config.files.groups import (
    AuthSettings,
    ConsoleSettings,
    FlowsSettings,
    GeminiCapacitySettings,
    Group,
    InspectorSettings,
    McpSettings,
    OtelSettings,
    Port,
    PplxSettings,
    Seconds,
    ShapingSettings,
    Texts,
)

CONFIG_FILE_NAME = "ccproxy.yaml"
DEFAULT_PROBE_URL = "https://1.1.1.1/"
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def config_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The config directory: `CCPROXY_CONFIG_DIR`, `$XDG_CONFIG_HOME/ccproxy` or
    ~/.config/ccproxy.
    """
    if chosen := environ.get("CCPROXY_CONFIG_DIR"):
        return Path(chosen).expanduser().absolute()
    home = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return (Path(home).expanduser() / "ccproxy").absolute()


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


class ServerSettings(Group):
    """What a process needs before it can start."""

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
            "Origins of programs that send one, e.g. app://my-editor. Web pages have no business"
            " here."
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
        None, description="Limit in seconds of the proxy's own calls to providers; null: none."
    )
    shutdown_timeout_seconds: float = Field(
        10, ge=0, description="How long open streams may go on after a request to stop."
    )
    stream_idle_timeout_seconds: Seconds = Field(
        300,
        description=(
            "Give a provider up that was silent for this long, before its answer or within it."
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
    shaping: ShapingSettings = ShapingSettings()

    def log_path(self, directory: Path) -> Path | None:
        """The log file as an absolute path, or None when there is none."""
        return directory / Path(self.log_file).expanduser() if self.log_file else None

    def cert_dir(self, directory: Path) -> Path:
        """Where the certificate authority lives."""
        chosen = self.inspector.cert_dir or self.inspector.mitmproxy.confdir
        return directory / Path(chosen).expanduser() if chosen else directory

    def journal_name(self, directory: Path) -> str:
        """The SYSLOG_IDENTIFIER: as set, or derived from the config directory."""
        if self.journal_identifier:
            return self.journal_identifier
        if directory.name == ".ccproxy":
            return f"ccproxy-{directory.parent.name}"
        return "ccproxy" if directory.name == "ccproxy" else f"ccproxy-{directory.name}"

    @property
    def proxy_url(self) -> str:
        """The base URL that clients on this machine use."""
        return f"http://{url_host(self.host)}:{self.port}"

    @property
    def console_url(self) -> str:
        """The console's URL on this machine."""
        return f"http://{url_host(self.console.host)}:{self.inspector.port}"


def reachable_host(bind: str) -> str:
    """The address at which this machine reaches a bind address: a wildcard becomes loopback."""
    host = bind.strip("[]")
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def url_host(bind: str) -> str:
    """A bind address as the host of a URL: wildcards become loopback, IPv6 gets brackets."""
    host = reachable_host(bind)
    return f"[{host}]" if ":" in host else host


def load_server_settings(directory: Path, environ: Mapping[str, str]) -> ServerSettings:
    """The settings of `ccproxy.yaml` in `directory`, with the environment's overrides.

    Raises:
        ConfigError: one sentence that names the file, line and key, or the variable.
    """
    document = read_document(directory / CONFIG_FILE_NAME)
    if {"providers", "hooks", "inspector"} & document.data.keys():
        from interceptor.config.files.whole_file import parse_sections

        parse_sections(document)
    settings = parse_server_settings(document)
    return environment.override(settings, environ)


def parse_server_settings(document: Document) -> ServerSettings:
    """The server settings of a document; the database's sections are left aside."""
    plain = Document(_server_data(document), document.lines, document.source, document.prefix)
    try:
        return ServerSettings.model_validate(plain.data)
    except ValidationError as exc:
        raise refuse(plain, ServerSettings, exc) from None


def _server_data(document: Document) -> dict[str, Any]:
    """The data without providers, hooks and transforms, with older spellings folded into
    today's.
    """
    data = {key: value for key, value in document.data.items() if key not in ("providers", "hooks")}
    if isinstance(data.get("inspector"), dict):
        data["inspector"] = {
            key: value for key, value in data["inspector"].items() if key != "transforms"
        }
    return fold_old_names(data, document)


def fold_old_names(data: dict[str, Any], document: Document) -> dict[str, Any]:
    """Move `readiness_probe_url` and its kin, and mitmproxy's `web_host`, to where they live today.

    Raises:
        ConfigError: when both spellings are given and differ.
    """
    wanted = data.pop("verify_readiness_on_startup", None)
    if wanted is not None and not isinstance(wanted, bool):
        raise document.error(("verify_readiness_on_startup",), ": should be true or false")
    if (
        wanted is True
        and "readiness_probe_url" not in data
        and not _get(data, "inspector", "readiness", "url")
    ):
        data["readiness_probe_url"] = DEFAULT_PROBE_URL
    for old, new in (
        ("readiness_probe_url", "url"),
        ("readiness_probe_timeout_seconds", "timeout_seconds"),
    ):
        if old in data:
            data = _moved(data, document, (old,), ("inspector", "readiness", new))
    if wanted is False:
        data = _with(data, ("inspector", "readiness", "url"), None)
    if _get(data, "inspector", "mitmproxy", "web_host") is not None:
        data = _moved(data, document, ("inspector", "mitmproxy", "web_host"), ("console", "host"))
    return data


def _get(data: Any, *path: str) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _with(data: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy of `data` with the value at `path` set; what is not a mapping on the way is left to
    the validation.
    """
    if len(path) == 1:
        return {**data, path[0]: value}
    inner = data.get(path[0], {})
    return {**data, path[0]: _with(inner, path[1:], value)} if isinstance(inner, dict) else data


def _moved(
    data: dict[str, Any], document: Document, old: tuple[str, ...], new: tuple[str, ...]
) -> dict[str, Any]:
    value, there = _get(data, *old), _get(data, *new)
    if there is not None and there != value:
        raise document.error(old, f" and {'.'.join(new)} say different things: keep one")
    if len(old) == 1:
        data = {key: kept for key, kept in data.items() if key != old[0]}
    return _with(data, new, value)
