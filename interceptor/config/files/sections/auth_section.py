"""Schema of `auth` of a provider: the source of its credential."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field

from interceptor.config.files.groups import Group


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
