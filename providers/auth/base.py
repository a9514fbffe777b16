"""What a credential source is, as configuration: frozen, validated, without the secret itself.

The snapshot carries these handles. `providers.auth.resolve` turns one into a token when a request needs it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Source(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    header: str = ""
    """Header that carries the credential, lower case; "" means authorization with Bearer."""


class CommandAuth(_Source):
    """Output of a shell command, stripped."""

    type: Literal["command"] = "command"
    command: str = Field(min_length=1)


class FileAuth(_Source):
    """Content of a file, stripped. `~` is expanded."""

    type: Literal["file"] = "file"
    file: str = Field(min_length=1)


class KeyAuth(_Source):
    """A key pasted by the user, carried as ciphertext and decrypted only when it is resolved."""

    type: Literal["key"] = "key"
    ciphertext: str = Field(repr=False)
    """"" when no key was stored yet: a request then gets an answer that says so."""


AuthConf = Annotated[CommandAuth | FileAuth | KeyAuth, Field(discriminator="type")]
