"""Rules about configuration changes that console, API and command line share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings

from providers.auth.sentinel import SENTINEL_PREFIXES
from providers.base.nearest import no_such
from providers.fallbacks import parse_fallbacks

if TYPE_CHECKING:
    from providers.models import Provider

CODE_SOURCES = ("command", "file")
MOVE_REFUSED = (
    "Only superusers move a provider with its credential: give a new credential, or ask one."
)
LOGIN_REFUSED = "Where a login is kept and who renews it is set by superusers alone."
CODE_REFUSED = (
    "This runs code on the server or reads its files, so it is not set from the browser or the API."
    " Restart with “ccproxy start --allow-code-config” (or CCPROXY_ALLOW_CODE_CONFIG=1) and sign in"
    " as a superuser, or set it in a file with “ccproxy importconfig FILE”."
)


def may_set_code(user: Any) -> bool:
    """Return whether a user may set commands and hook paths.

    Only superusers may, on a server that was started to allow it.
    """
    return bool(settings.CCPROXY_ALLOW_CODE_CONFIG and user is not None and user.is_superuser)


def sets_new_code(provider: Provider, before: Provider | None) -> bool:
    """Return whether saving `provider` over `before` adds a new command, or a new file to read.

    A user who may name both a file and the host that receives its content can read the machine.
    """
    if provider.auth_type not in CODE_SOURCES:
        return False
    return (
        before is None
        or before.auth_type != provider.auth_type
        or before.auth_config != provider.auth_config
    )


def destination(provider: Provider) -> str:
    """Return where a provider's requests go: `https://h:443/v1 (TLS not verified)`."""
    port = f":{provider.port}" if provider.port else ""
    unverified = "" if provider.verify_tls else " (TLS not verified)"
    return f"{provider.scheme}://{provider.host}{port}{provider.path}{unverified}"


def moves_credential(provider: Provider, before: Provider | None) -> bool:
    """Return whether saving `provider` over `before` sends the same credential elsewhere.

    Only superusers may: the new host is sent the credential.
    """
    if before is None or before.auth_type == "none":
        return False
    is_same = (
        before.auth_type == provider.auth_type
        and before.auth_config == provider.auth_config
        and str(before.secret or "") == str(provider.secret or "")
    )
    return is_same and destination(before) != destination(provider)


def sets_new_login(provider: Provider, before: Provider | None) -> bool:
    """Return whether saving `provider` over `before` adds a login's file or endpoint.

    Only superusers may.
    """
    if not provider.auth_type.endswith("_oauth"):
        return False
    return (
        before is None
        or before.auth_type != provider.auth_type
        or before.auth_config != provider.auth_config
    )


def unknown_fallback(values: object) -> str | None:
    """Return a sentence about the first fallback that is no provider; None where all are.

    Raises:
        BadFallbacks: the list cannot be used.
    """
    from providers.models import Provider

    entries = parse_fallbacks(values)
    if not entries:
        return None
    known = list(Provider.objects.values_list("name", flat=True))
    unknown = [entry.provider for entry in entries if entry.provider not in known]
    return no_such("provider", unknown[0], known) if unknown else None


def sentinel_keys(provider_name: str) -> list[str]:
    """Return the keys that clients may send instead of this provider's credential."""
    return [prefix + provider_name for prefix in SENTINEL_PREFIXES]
