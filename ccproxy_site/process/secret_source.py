"""Secrets that settings name a source of: a command or a file."""

from __future__ import annotations

from interceptor.config.files.groups import SecretSource
from providers.auth.base import CommandAuth, FileAuth
from providers.auth.sources import SourceContext, SourceFailed, read_command, read_file
from providers.fields import keyring


async def read_secret_source(source: SecretSource, timeout_s: float) -> tuple[str, str]:
    """Return the secret, or "" and why there is none.

    Args:
        source: the setting.
        timeout_s: limit of a command.
    """
    context = SourceContext(open_keyring=keyring, timeout_s=timeout_s)
    try:
        if source.command and source.type != "file":
            text = await read_command(CommandAuth(command=source.command), context)
        elif source.file:
            text = await read_file(FileAuth(file=source.file), context)
        else:
            return "", "the source names neither a command nor a file"
    except SourceFailed as exc:
        return "", f"the source {exc}"
    secret = text.strip()
    return secret, "" if secret else "the source yields nothing"
