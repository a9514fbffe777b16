"""Checks of providers and rules before they are saved.

The admin, the YAML import and the REST API share them.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Protocol

from django.core.exceptions import ValidationError

from providers.auth.oauth_kinds import OAUTH_KINDS, BadOAuthConfig, oauth_auth
from providers.base.header_key import BadKey, check_key, trimmed_key
from providers.base.json_value import check_json
from providers.base.loopback import is_loopback
from providers.base.names import WIRE_FORMATS
from providers.base.nearest import capitalised, name_hint, no_such
from providers.base.pattern import PatternError, compile_pattern
from providers.fallbacks import BadFallbacks, Fallback, parse_fallbacks
from providers.fields import Ciphertext
from providers.fingerprint_profiles import check_profile
from providers.reserved_host import reserved_host_problem
from providers.retry_policy import BadRetry, retry_policy
from providers.wire.facts.table import OwnFacts, own_row

_HOST = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
_HEADER_NAME = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")  # RFC 9110, token
_AUTH_KEYS = {"none": set(), "key": set(), "command": {"command"}, "file": {"file"}}


class ProviderRow(Protocol):
    """Fields of a provider that are checked. The model lies above this module."""

    name: Any
    scheme: Any
    host: Any
    path: Any
    verify_tls: Any
    headers: Any
    native_formats: Any
    model_names: Any
    retry: Any
    fallbacks: Any
    fingerprint_profile: Any
    auth_type: Any
    auth_config: Any
    auth_header: Any
    secret: Any


class FactsRow(Protocol):
    """The operator's facts, as a model's row."""

    model: Any
    host: Any
    facts: Any


class RuleRow(Protocol):
    """Fields of a transform rule that are checked."""

    action: Any
    match_host: Any
    match_path: Any
    match_model: Any
    dest_host: Any
    dest_path: Any
    dest_provider_id: Any
    fallbacks: Any
    retry: Any


def check_host(host: str) -> str | None:
    """Return the fault of a host as a sentence, or None."""
    if problem := reserved_host_problem(host):
        return problem
    try:
        ipaddress.ip_address(host.strip("[]"))
        return None
    except ValueError:
        pass
    if not _HOST.match(host) or ".." in host:
        return "Give a host name or address alone: no scheme, port or path."
    return None


def check_headers(headers: object) -> str | None:
    """Return the fault of a header mapping as a sentence, or None."""
    if not isinstance(headers, dict):
        return "Give a mapping of header names to values."
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.match(name):
            return f"“{name}” is not a header name."
        if not isinstance(value, str) or any(ord(c) < 32 or ord(c) == 127 for c in value):
            return f"The value of “{name}” must be text without control characters."
        if name.lower().startswith("x-ccproxy-"):
            return f"“{name}” is internal and never leaves the proxy."
    return None


def validate_provider(provider: ProviderRow) -> None:
    """Raise ValidationError, by field, for a provider the proxy could not run with."""
    errors: dict[str, str] = {}
    if problem := check_host(provider.host or ""):
        errors["host"] = problem
    if not (provider.path or "").startswith("/"):
        errors["path"] = "The path starts with a slash."
    if problem := check_headers(provider.headers):
        errors["headers"] = problem
    if problem := _check_formats(provider.native_formats):
        errors["native_formats"] = problem
    if not isinstance(provider.model_names, list) or not all(
        isinstance(m, str) and m for m in provider.model_names
    ):
        errors["model_names"] = "Give a list of model names."
    if problem := _check_retry(provider.retry):
        errors["retry"] = problem
    if problem := _check_fallbacks(provider.fallbacks, own=Fallback(provider.name or "")):
        errors["fallbacks"] = problem
    if problem := _check_fingerprint(provider):
        errors["fingerprint_profile"] = problem
    if problem := check_auth(provider.auth_type, provider.auth_config):
        errors["auth_config"] = problem
    if problem := check_secret(provider):
        errors["secret"] = problem
    if provider.auth_header and not _HEADER_NAME.match(provider.auth_header):
        errors["auth_header"] = "That is not a header name."
    for field in ("headers", "native_formats", "model_names", "retry", "fallbacks", "auth_config"):
        if problem := check_json(getattr(provider, field)):
            errors[field] = problem
    errors |= _check_credential_path(provider)
    if errors:
        raise ValidationError(errors)


def _check_retry(values: object) -> str | None:
    """Return the fault of a retry policy as a sentence, or None."""
    try:
        retry_policy(values)
    except BadRetry as exc:
        return str(exc)
    return None


def _check_fallbacks(values: object, own: Fallback | None = None) -> str | None:
    """Return the fault of a list of fallbacks as a sentence, or None.

    `own` is the provider that has the list. A provider that is named may come later.
    """
    try:
        entries = parse_fallbacks(values)
    except BadFallbacks as exc:
        return str(exc)
    if own in entries:
        return "A provider is its own fallback with another model alone: NAME/MODEL."
    return None


def _check_formats(names: object) -> str | None:
    """Return the fault of a list of wire formats as a sentence, or None."""
    if not isinstance(names, list):
        return f"Give a list of: {', '.join(WIRE_FORMATS)}."
    # Values of REST may be lists, which no dictionary can be asked for.
    unknown = [str(name) for name in names if str(name) not in WIRE_FORMATS]
    if unknown:
        return capitalised(no_such("wire format", unknown[0], WIRE_FORMATS))
    return None


def _check_fingerprint(provider: ProviderRow) -> str | None:
    """Return why requests cannot go out with the provider's profile, or None."""
    if problem := check_profile(provider.fingerprint_profile or ""):
        return problem
    is_safe = provider.scheme == "https" and provider.verify_tls
    if provider.fingerprint_profile and not is_safe and not is_loopback(provider.host or ""):
        return "A profile needs https with verified TLS, except to this machine."
    return None


def check_secret(provider: ProviderRow) -> str | None:
    """Return why a new key cannot be the value of a header, or None. A stored one is not read."""
    secret = provider.secret
    if provider.auth_type != "key" or not secret or isinstance(secret, Ciphertext):
        return None
    try:
        check_key(trimmed_key(secret))
    except BadKey as exc:
        return f"The key {exc}."
    return None


def _check_credential_path(provider: ProviderRow) -> dict[str, str]:
    """Require verified TLS or a loopback address for a credential. Return errors by field."""
    if provider.auth_type == "none" or is_loopback(provider.host or ""):
        return {}
    if provider.scheme != "https":
        return {"scheme": "A credential is sent over https only, except to this machine."}
    if not provider.verify_tls:
        return {
            "verify_tls": (
                "A credential is sent over verified TLS only; choose “No credential” or verify."
            )
        }
    return {}


def check_auth(auth_type: str, config: object) -> str | None:
    """Return the fault of a credential source as a sentence, or None."""
    if not isinstance(config, dict):
        return "Give a mapping."
    if auth_type in OAUTH_KINDS:
        return _check_login(auth_type, config)
    needed = _AUTH_KEYS.get(auth_type)
    if needed is None:
        return capitalised(no_such("credential source", auth_type, [*_AUTH_KEYS, *OAUTH_KINDS]))
    for key in needed:
        if not isinstance(config.get(key), str) or not config[key].strip():
            return f"The source “{auth_type}” needs “{key}”."
    if unknown := set(config) - needed:
        name = min(unknown)
        return f"The source “{auth_type}” has no “{name}”; {name_hint(name, needed)}"
    return None


def _check_login(auth_type: str, config: dict[str, object]) -> str | None:
    try:
        oauth_auth(auth_type, config)
    except BadOAuthConfig as exc:
        return str(exc)
    return None


def validate_rule(rule: RuleRow) -> None:
    """Raise ValidationError, by field, for a rule the proxy could not run with."""
    errors: dict[str, str] = {}
    for field in ("match_host", "match_path", "match_model"):
        try:
            compile_pattern(getattr(rule, field) or "")
        except PatternError as exc:
            errors[field] = str(exc)
    if rule.dest_host and (problem := check_host(rule.dest_host)):
        errors["dest_host"] = problem
    if rule.dest_path and not rule.dest_path.startswith("/"):
        errors["dest_path"] = "The path starts with a slash."
    if rule.action == "transform" and rule.dest_provider_id is None:
        errors["dest_provider"] = "A transform needs the provider to translate for."
    if rule.action == "redirect" and rule.dest_provider_id is None and not rule.dest_host:
        errors["dest_provider"] = "A redirect needs a provider or a host."
    if problem := _check_rule_fallbacks(rule):
        errors["fallbacks"] = problem
    if problem := _check_retry(rule.retry) or check_json(rule.retry):
        errors["retry"] = problem
    if errors:
        raise ValidationError(errors)


def validate_fact(row: FactsRow) -> None:
    """Raise ValidationError, by field, for facts that the proxy could not use."""
    if problem := check_json(row.facts):
        raise ValidationError({"facts": problem})
    if not isinstance(row.facts, dict) or not row.facts:
        raise ValidationError({"facts": "State at least one fact."})
    try:
        own_row(OwnFacts(row.model, row.host, row.facts))
    except (ValueError, TypeError) as exc:
        raise ValidationError({"facts": capitalised(f"{exc}.")}) from None


def _check_rule_fallbacks(rule: RuleRow) -> str | None:
    problem = _check_fallbacks(rule.fallbacks) or check_json(rule.fallbacks)
    if problem or not rule.fallbacks:
        return problem
    if rule.action == "passthrough" or rule.dest_provider_id is None:
        return "Fallbacks need a rule that sends to a provider."
    return None
