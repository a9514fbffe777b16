"""A provider row's credential source as the frozen handle that the request path works with."""

from __future__ import annotations

from providers.auth.base import AuthConf, CommandAuth, FileAuth, KeyAuth
from providers.auth.oauth_kinds import OAUTH_KINDS, BadOAuthConfig, oauth_auth
from providers.base.errors import ConfigError
from providers.base.names import BEDROCK_CLAUDE
from providers.base.nearest import no_such
from providers.models import Provider
from providers.wire.perplexity.ask_conf import PERPLEXITY_TYPE, SESSION_COOKIE


def auth_of(row: Provider) -> AuthConf | None:
    """Return the handle, None for a provider without credential.

    Raises:
        ConfigError: naming the provider.
    """
    header, prefix = row.auth_header.lower(), ""
    is_aws_key = row.type == BEDROCK_CLAUDE
    if row.type == PERPLEXITY_TYPE and header in ("", "cookie"):
        header, prefix = "cookie", f"{SESSION_COOKIE}="
    match row.auth_type:
        case "none":
            return None
        case "command":
            return CommandAuth(
                command=row.auth_config["command"],
                header=header,
                prefix=prefix,
                is_aws_key=is_aws_key,
            )
        case "file":
            return FileAuth(
                file=row.auth_config["file"], header=header, prefix=prefix, is_aws_key=is_aws_key
            )
        case "key":
            return KeyAuth(
                ciphertext=str(row.secret or ""),
                header=header,
                prefix=prefix,
                is_aws_key=is_aws_key,
            )
        case kind if kind in OAUTH_KINDS:
            try:
                return oauth_auth(
                    kind, row.auth_config, header=header, client_secret=str(row.secret or "")
                )
            except BadOAuthConfig as exc:
                raise ConfigError(f"provider “{row.name}”: {exc}") from None
        case kind:
            problem = no_such("credential source", kind, Provider.AUTH_TYPES)
            raise ConfigError(f"provider “{row.name}”: {problem}")
