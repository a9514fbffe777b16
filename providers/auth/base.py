"""Credential sources as configuration: frozen, validated, without the secret itself.

The snapshot carries these handles. `providers.auth.resolve` turns one into a token when a request
needs it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

OAuthType = Literal["anthropic_oauth", "google_oauth", "codex_oauth"]


class _Source(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    header: str = ""
    """Header that carries the credential, lower case; "" means authorization with Bearer."""
    prefix: str = ""
    """Stands before the token in a header of another name: the name of a cookie."""


class _TextSource(_Source):
    is_aws_key: bool = False
    """The text is an access key of AWS, which signs requests and never leaves."""


class CommandAuth(_TextSource):
    """Output of a shell command, stripped."""

    type: Literal["command"] = "command"
    command: str = Field(min_length=1)


class FileAuth(_TextSource):
    """Content of a file, stripped. `~` is expanded."""

    type: Literal["file"] = "file"
    file: str = Field(min_length=1)


class KeyAuth(_TextSource):
    """A key pasted by the user, carried as ciphertext and decrypted only when it is resolved."""

    type: Literal["key"] = "key"
    ciphertext: str = Field(repr=False)
    """"" when no key was stored yet: a request then gets an answer that says so."""


class OAuthAuth(_Source):
    """A login kept in a JSON file, which is refreshed. Complete: `providers.auth.oauth_kinds` fills
    in the defaults.

    Paths are keys inside the file, joined by dots.
    """

    type: OAuthType
    file_path: str = Field(min_length=1)
    endpoint: str = Field(min_length=1)
    client_id: str = Field(min_length=1)
    client_secret: str = Field("", repr=False)
    """Ciphertext, or "" for a public client."""
    access_path: str = Field(min_length=1)
    refresh_path: str = Field(min_length=1)
    expiry_path: str = ""
    """Milliseconds since the epoch; "": the access token is a JWT whose `exp` says it."""
    id_token_path: str = ""
    account_id_path: str = ""
    last_refresh_path: str = ""
    default_expires_in_seconds: float = Field(3600.0, gt=0, allow_inf_nan=False)
    body_format: Literal["form", "json"] = "form"
    authorize_url: str = ""
    """Where the browser goes to log in; "": only the vendor's own program can log in."""
    scopes: str = ""
    redirect_port: int = Field(0, ge=0, le=65535)
    """Port of the login's callback; 0: any free one."""
    redirect_path: str = "/callback"


AuthConf = Annotated[CommandAuth | FileAuth | KeyAuth | OAuthAuth, Field(discriminator="type")]
