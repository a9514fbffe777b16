"""Client token of `ccproxy run`, for a proxy that requires one.

Such a proxy is reachable from other machines. The token is made once, named "run", and kept in the
config directory, readable by its owner alone. It reaches the command behind the sentinel keys of
its environment, because every SDK lets its user set a key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from providers.auth.sentinel import provider_of

FILE_NAME = "run-token"
TOKEN_NAME = "run"  # noqa: S105  # its name
KEY_VARIABLES = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "OPENAI_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
)


def with_token(environ: Mapping[str, str], token: str) -> dict[str, str]:
    """Return the variables, with the token behind each sentinel key."""
    changed: dict[str, str] = {}
    for name in KEY_VARIABLES:
        value = environ.get(name, "")
        provider = provider_of(value)
        # A real key stays as it is, and so does a sentinel key that has a token already.
        if provider is not None and ".cct-" not in provider:
            changed[name] = f"{value}.{token}"
    return changed


def run_token(directory: Path) -> str:
    """Return the token from its file, or make one if there is none or the database lost it.

    Its file is private; the command that follows keeps its own umask.
    """
    before = os.umask(0o077)
    try:
        return _run_token(directory)
    finally:
        os.umask(before)


def _run_token(directory: Path) -> str:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    os.environ.setdefault("CCPROXY_ROLE", "cli")
    import django

    django.setup()
    from interceptor.access.client_token import create_client_token, token_digest
    from interceptor.config.transfer.database import ensure_database
    from interceptor.models import ClientToken
    from providers.audit.log import audited, shell_caller
    from providers.base.private_file import write_private

    ensure_database()
    path = directory / FILE_NAME
    token = path.read_text().strip() if path.exists() else ""
    if (
        token
        and ClientToken.objects.filter(token_sha256=token_digest(token), enabled=True).exists()
    ):
        return token
    ClientToken.objects.filter(name=TOKEN_NAME).delete()
    with audited("client-token-add", f"token {TOKEN_NAME}", by=shell_caller()):
        token = create_client_token(TOKEN_NAME)
    write_private(path, token + "\n")
    return token
