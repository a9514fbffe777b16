"""Schema of a complete `ccproxy.yaml`: server settings, and sections of the database. No Django.

Providers, hooks, inspector.transforms, shaping.providers and pplx.models are read from the file by
`importconfig`, and once when the database is made; the forms of the product's own files are all
accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from interceptor.config.files.document import Document, read_document, refuse, unknown_choice
from interceptor.config.files.groups import Group, Texts
from interceptor.config.files.parse_settings import DATABASE_KEYS, parse_server_settings
from interceptor.config.files.sections.catalogue_section import ModelSection
from interceptor.config.files.sections.shaping_section import ProfileSection
from interceptor.config.files.server import ServerSettings
from providers.base.errors import ConfigError
from providers.base.names import PROVIDER_TYPES, WIRE_FORMATS
from providers.base.nearest import no_such
from providers.fallbacks import DEFAULT_COOLDOWN_S, MAX_COOLDOWN_S, parse_fallbacks
from providers.presets.preset_table import with_preset
from providers.retry_policy import DEFAULT_BUDGET_S, FAILURES, MAX_ATTEMPTS, MAX_BUDGET_S

PRODUCT_HOOKS = "ccproxy.hooks."
"""How the product's files spell a built-in hook."""


class _Auth(Group):
    header: str = ""


class CommandSection(_Auth):
    """Output of a shell command."""

    type: Literal["command"]
    command: str = Field(min_length=1)


class FileSection(_Auth):
    """Content of a file."""

    type: Literal["file"]
    file: str = Field(min_length=1)


class KeySection(_Auth):
    """A key that is stored encrypted. Without `key`, the one that is stored already is kept."""

    type: Literal["key"]
    key: str | None = Field(None, min_length=1, repr=False)


class OauthSection(_Auth):
    """A login in a JSON file, which is renewed.

    What is not given has the kind's default; see docs/credentials.md.
    """

    type: Literal["anthropic_oauth", "google_oauth", "codex_oauth"]
    file_path: str | None = None
    endpoint: str | None = None
    client_id: str | None = None
    client_secret: str | None = Field(None, min_length=1, repr=False)
    """Stored encrypted. Left out, the one that is stored already is kept."""
    access_path: str | None = None
    refresh_path: str | None = None
    expiry_path: str | None = None
    id_token_path: str | None = None
    account_id_path: str | None = None
    last_refresh_path: str | None = None
    default_expires_in_seconds: float | None = Field(None, gt=0)
    body_format: Literal["form", "json"] | None = None
    authorize_url: str | None = None
    scopes: str | None = None
    redirect_port: int | None = Field(None, ge=0, le=65535)
    redirect_path: str | None = None


def _source(value: Any) -> Any:
    """Read a bare text as a command, and a mapping without a type by its keys.

    `printenv KEY` → `{type: command, command: printenv KEY}`; `{file: a}` → `{type: file, file:
    a}`.
    """
    if isinstance(value, str):
        return {"type": "command", "command": value}
    if isinstance(value, dict) and "type" not in value:
        kind = next((k for k in ("file", "command", "key") if k in value), None)
        return {**value, "type": kind} if kind else value
    return value


AuthSection = Annotated[
    Annotated[CommandSection | FileSection | KeySection | OauthSection, Discriminator("type")],
    BeforeValidator(_source),
]


def _fallbacks(value: Texts) -> Texts:
    return tuple([entry.text for entry in parse_fallbacks(value)])


Fallbacks = Annotated[Texts, AfterValidator(_fallbacks)]


class RetrySection(Group):
    """`retry` of a provider: its failures that are tried again."""

    attempts: int = Field(
        ge=2,
        le=MAX_ATTEMPTS,
        description="How often a request is sent at most, the first included.",
    )
    statuses: tuple[int | str, ...] = Field(
        FAILURES,
        description=f"What is tried again, of: {', '.join(map(str, FAILURES))}.",
    )
    budget_seconds: float = Field(
        DEFAULT_BUDGET_S, ge=0, le=MAX_BUDGET_S, description="Limit of all waits of a request."
    )

    @field_validator("statuses")
    @classmethod
    def _known_statuses(cls, value: tuple[int | str, ...]) -> tuple[int | str, ...]:
        if not value or set(value) - set(FAILURES):
            raise unknown_choice(map(str, FAILURES))
        return value


class ProviderSection(Group):
    """One entry of `providers`."""

    preset: str | None = Field(
        None,
        description=(
            "A known provider, whose fields stand under those given here; its blanks are given"
            " beside it. See [providers.md](providers.md#presets)."
        ),
    )
    auth: AuthSection | None = Field(
        None, description="Where the credential comes from; see below."
    )
    host: str = Field(description="Host name or address, without scheme and port.")
    path: str = Field(
        "/", description="Path of the main endpoint; `{model}` and `{action}` are filled in."
    )
    type: str = Field(description=f"The wire family: {', '.join(PROVIDER_TYPES)}.")
    fingerprint_profile: str | None = Field(
        None,
        description="Browser whose TLS handshake is imitated, such as chrome131; see"
        " [transport.md](transport.md). null: ccproxy's own handshake.",
    )
    enabled: bool = Field(True, description="Whether requests may go there.")
    scheme: Literal["https", "http"] = Field(
        "https", description="http is for servers on this machine."
    )
    port: int | None = Field(None, ge=1, le=65535, description="null: 443 or 80.")
    verify_tls: bool = Field(True, description="Off only for hosts that get no credential.")
    headers: dict[str, str | None] = Field(
        {}, description="Extra headers of every request; a null value keeps the stored one."
    )
    native_formats: Texts = Field(
        (),
        description=(
            "Further wire formats the host speaks on the same base path:"
            f" {', '.join(WIRE_FORMATS)}."
        ),
    )
    models: Texts = Field(
        (), description="Model names for /v1/models; empty: from the price catalogue."
    )
    retry: RetrySection | None = Field(
        None, description="Failures that are tried again; null: none."
    )
    fallbacks: Fallbacks = Field(
        (),
        description=(
            "Who gets a request that failed here, in order: `PROVIDER` or `PROVIDER/MODEL`; see"
            " [providers.md](providers.md#fallbacks)."
        ),
    )
    cooldown_seconds: int | None = Field(
        None,
        ge=0,
        le=MAX_COOLDOWN_S,
        description=(
            "How long chains of fallbacks skip it after a failure that names no time; 0: never"
            f" skipped; null: {DEFAULT_COOLDOWN_S:g}."
        ),
    )

    server_tools: Literal["drop", "map", "refuse"] | None = Field(
        None,
        description=(
            "Tools that run at the client's own vendor, in translated requests; see"
            " [translation.md](translation.md#tools-of-a-vendors-own-type). null: drop."
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, data: Any) -> Any:
        """Replace `preset` by the fields that it stands for."""
        if isinstance(data, dict) and data.get("preset") is not None:
            return with_preset(data)
        return data

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str) -> str:
        if value not in PROVIDER_TYPES:
            raise unknown_choice(PROVIDER_TYPES)
        return value

    @field_validator("native_formats")
    @classmethod
    def _known_formats(cls, value: Texts) -> Texts:
        if unknown := set(value) - set(WIRE_FORMATS):
            raise ValueError(no_such("wire format", min(unknown), WIRE_FORMATS))
        return value


class TransformSection(Group):
    """One entry of `inspector.transforms`."""

    action: Literal["passthrough", "redirect", "transform"] = Field(
        "redirect", description="What to do."
    )
    match_host: str | None = Field(
        None, description="Searched in the host, Host and X-Forwarded-Host; null: any."
    )
    match_path: str | None = Field(".*", description="Searched in the path with its query.")
    match_model: str | None = Field(
        None, description="Searched in the body's model, in any letter case; null: any."
    )
    dest_provider: str | None = Field(
        None, description="The provider to send to: host, path, credential, format."
    )
    dest_host: str | None = Field(
        None, description="Raw host; wins over the provider's, and gets no credential."
    )
    dest_path: str | None = Field(None, description="Raw path template; wins over the provider's.")
    dest_model: str | None = Field(None, description="The model to ask for instead.")
    dest_vertex_project: str | None = Field(
        None, description="Google Cloud project, for Vertex AI."
    )
    dest_vertex_location: str | None = Field(None, description="Region, for Vertex AI.")
    fallbacks: Fallbacks = Field(
        (), description="Who gets a request that failed, instead of the provider's own fallbacks."
    )
    retry: RetrySection | None = Field(
        None, description="Failures that are tried again, instead of the provider's own."
    )
    server_tools: Literal["drop", "map", "refuse"] | None = Field(
        None, description="Tools that run at the client's vendor; null: as the provider says."
    )
    name: str = Field("", max_length=100, description="How the record names the rule.")
    enabled: bool = Field(True, description="A disabled rule never matches.")
    comment: str = Field("", description="For people.")


def _entry(value: Any) -> Any:
    return {"hook": value} if isinstance(value, str) else value


class HookEntry(Group):
    """One entry of a hook list. `hook` is a built-in's bare name or a dotted path."""

    hook: str = Field(min_length=1, max_length=200)
    params: dict[str, Any] = {}
    enabled: bool = True

    @field_validator("hook")
    @classmethod
    def _bare_name(cls, value: str) -> str:
        name = value.removeprefix(PRODUCT_HOOKS)
        if not name or any(c.isspace() or not c.isprintable() for c in name):
            raise ValueError("should be a built-in's name or the dotted path of a function")
        return name


Hook = Annotated[HookEntry, BeforeValidator(_entry)]


class HookLists(Group):
    """`hooks`: the stages in order."""

    inbound: tuple[Hook, ...] = ()
    outbound: tuple[Hook, ...] = ()
    seal: tuple[Hook, ...] = ()

    def by_stage(self) -> dict[str, tuple[Hook, ...]]:
        """Return the entries of every stage, in the order in which the stages run."""
        return {"inbound": self.inbound, "outbound": self.outbound, "seal": self.seal}


def _stages(value: Any) -> Any:
    """Read a flat list as the inbound stage, and null as an empty stage."""
    if isinstance(value, list):
        return {"inbound": value}
    if isinstance(value, dict):
        return {key: [] if hooks is None else hooks for key, hooks in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class Sections:
    """The database's sections of a file.

    None: the file does not mention it, and it stays as it is.
    """

    providers: dict[str, ProviderSection] | None = None
    hooks: HookLists | None = None
    transforms: tuple[TransformSection, ...] | None = None
    profiles: dict[str, ProfileSection] | None = None
    """Of shapes, by provider type."""
    models: tuple[ModelSection, ...] | None = None
    """The catalogue of Perplexity's models."""

    def __bool__(self) -> bool:
        sections = (self.providers, self.hooks, self.transforms, self.profiles, self.models)
        return any(section is not None for section in sections)


class _Inspector(Group):
    transforms: tuple[TransformSection, ...] | None = None


class _Shaping(Group):
    providers: dict[str, ProfileSection] | None = None


class _Pplx(Group):
    models: tuple[ModelSection, ...] | None = None


class DatabaseKeys(Group):
    """The keys as they stand in the file, so that errors carry their full path."""

    providers: dict[str, ProviderSection] | None = None
    hooks: Annotated[HookLists, BeforeValidator(_stages)] | None = None
    inspector: _Inspector = _Inspector()
    shaping: _Shaping = _Shaping()
    pplx: _Pplx = _Pplx()


def parse_sections(document: Document) -> Sections:
    """Return the database's sections of a document.

    Raises:
        ConfigError: one sentence with file, line and the full dotted key.
    """
    data: dict[str, Any] = {}
    for group, names in DATABASE_KEYS.items():
        values = document.data.get(str(group[0])) if group else document.data
        if not isinstance(values, dict):
            continue
        found = {name: values[name] for name in names if values.get(name) is not None}
        if found:
            data |= {str(group[0]): found} if group else found
    try:
        keys = DatabaseKeys.model_validate(data)
    except ValidationError as exc:
        raise refuse(document, DatabaseKeys, exc) from None
    return Sections(
        providers=keys.providers,
        hooks=keys.hooks,
        transforms=keys.inspector.transforms,
        profiles=keys.shaping.providers,
        models=keys.pplx.models,
    )


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A complete `ccproxy.yaml`, checked."""

    document: Document
    settings: ServerSettings
    sections: Sections


def check_file(document: Document) -> ConfigFile:
    """Check all of a document.

    Raises:
        ConfigError: one sentence with file, line and the full dotted key.
    """
    return ConfigFile(document, parse_server_settings(document), parse_sections(document))


def read_config_file(path: Path) -> ConfigFile:
    """Read and check a complete file; a missing one is an error here.

    Raises:
        ConfigError: one sentence with file, line and the full dotted key.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist")
    return check_file(read_document(path))
