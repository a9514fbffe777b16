"""Schema of `providers`, which live in the database."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from interceptor.config.files.document import unknown_choice
from interceptor.config.files.groups import Group, Texts
from interceptor.config.files.sections.auth_section import AuthSection
from interceptor.config.files.sections.retry_section import Fallbacks, RetrySection
from providers.base.names import PROVIDER_TYPES, WIRE_FORMATS
from providers.base.nearest import no_such
from providers.fallbacks import DEFAULT_COOLDOWN_S, MAX_COOLDOWN_S
from providers.presets.preset_table import with_preset


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
