"""Export of the configuration as a `ccproxy.yaml`, without secrets.

`importconfig` reads the file back to rows with equal content.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from interceptor.config.files.defaults import BUILT_IN_HOOKS
from interceptor.config.files.document import Document, dotted
from interceptor.config.files.parse_settings import DATABASE_KEYS
from interceptor.config.files.sections.hook_section import PRODUCT_HOOKS
from interceptor.config.files.sections.transform_section import TransformSection
from interceptor.config.transfer.perplexity_catalogue import catalogue_section
from interceptor.config.transfer.shaping_profiles import profile_comments, profiles_section
from interceptor.models import HookSetting
from providers.models import Provider, TransformRule

_SECRET_HEADER_WORDS = ("auth", "key", "token", "secret", "cookie", "password")
_SECRET_SETTINGS = (
    ("inspector", "mitmproxy", "web_password"),
    ("mcp", "http", "auth"),
    ("mcp", "http", "write_auth"),
    ("mcp", "notify_secret"),
)


def export_config(settings: Document) -> str:
    """Return the complete configuration: settings of the file in use, and the database's rows."""
    data, left_out = _public_settings(settings.data)
    comments = [f"{name} is left out: it is a secret" for name in left_out]
    providers = list(Provider.objects.all())
    for provider in providers:
        comments += secret_comments(provider)
    data["providers"] = {provider.name: provider_section(provider) for provider in providers}
    data["hooks"] = hook_lists(HookSetting.objects.all())
    comments += profile_comments()
    if profiles := profiles_section():
        data["shaping"] = (data.get("shaping") or {}) | {"providers": profiles}
    if models := catalogue_section():
        data["pplx"] = (data.get("pplx") or {}) | {"models": models}
    inspector = data.get("inspector") or {}
    data["inspector"] = inspector | {"transforms": [rule_section(rule) for rule in _rules()]}
    head = "".join(f"# {line}\n" for line in ("Written by ccproxy exportconfig.", *comments))
    return head + dump({"ccproxy": data})


class _Dumper(yaml.SafeDumper):
    """Writes text with control characters in double quotes: in other styles YAML reads some of them
    as line ends.
    """


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None if value.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump(data: dict[str, Any]) -> str:
    """Return plain data as YAML, in the order given."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _rules() -> Iterable[TransformRule]:
    return TransformRule.objects.select_related("dest_provider")


def secret_comments(provider: Provider) -> list[str]:
    """Return a comment for each part of a provider that is left out, with the way to restore it."""
    lines = []
    if provider.auth_type == "key":
        lines.append(
            f"The key of {provider.name} is left out; store it with: ccproxy setkey {provider.name}"
        )
    elif provider.auth_type.endswith("_oauth") and provider.secret:
        lines.append(
            f"The client secret of {provider.name} is left out; without it, the stored one is kept"
        )
    secret = [name for name in provider.headers if _is_secret_header(name)]
    return lines + [
        f"The value of {provider.name}'s header {name} is left out; null keeps the stored one"
        for name in secret
    ]


def _is_secret_header(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET_HEADER_WORDS)


def provider_section(provider: Provider) -> dict[str, Any]:
    """Return an entry of `providers`.

    What has its default is left out, except that `auth` is always there.
    """
    section: dict[str, Any] = {
        "auth": _auth(provider),
        "host": provider.host,
        "path": provider.path,
        "type": provider.type,
    }
    optional: tuple[tuple[str, Any, Any], ...] = (
        ("enabled", provider.enabled, True),
        ("scheme", provider.scheme, "https"),
        ("port", provider.port, None),
        ("verify_tls", provider.verify_tls, True),
        ("headers", _public_headers(provider), {}),
        ("native_formats", list(provider.native_formats), []),
        ("models", list(provider.model_names), []),
        ("fingerprint_profile", provider.fingerprint_profile, ""),
        ("retry", dict(provider.retry), {}),
        ("fallbacks", list(provider.fallbacks), []),
        ("cooldown_seconds", provider.cooldown_seconds, None),
        ("server_tools", provider.server_tools, ""),
    )
    for key, value, default in optional:
        if value != default:
            section[key] = value
    return section


def _public_headers(provider: Provider) -> dict[str, str | None]:
    """Return the extra headers; None, instead of a credential, keeps the stored value."""
    headers: dict[str, str | None] = {}
    for name, value in provider.headers.items():
        headers[name] = None if _is_secret_header(name) else value
    return headers


def _auth(provider: Provider) -> dict[str, Any] | None:
    if provider.auth_type == "none":
        return None
    header = {"header": provider.auth_header} if provider.auth_header else {}
    return {"type": provider.auth_type, **provider.auth_config, **header}


def hook_lists(settings: Iterable[HookSetting]) -> dict[str, list[Any]]:
    """Return `hooks`: the stages in order; `seal` only where it has hooks."""
    lists: dict[str, list[Any]] = {"inbound": [], "outbound": [], "seal": []}
    for setting in sorted(settings, key=lambda row: (row.stage, row.position, row.pk or 0)):
        lists[setting.stage].append(_hook(setting))
    if not lists["seal"]:
        del lists["seal"]
    return lists


def _hook(setting: HookSetting) -> Any:
    """Return the plain name where that says everything, else a mapping."""
    entry: dict[str, Any] = {"hook": setting.name}
    if setting.name in BUILT_IN_HOOKS:
        entry["hook"] = PRODUCT_HOOKS + setting.name
    if setting.params:
        entry["params"] = setting.params
    if not setting.enabled:
        entry["enabled"] = False
    return entry if len(entry) > 1 else entry["hook"]


def rule_section(rule: TransformRule) -> dict[str, Any]:
    """Return an entry of `inspector.transforms`, without empty conditions and destinations."""
    section: dict[str, Any] = {"action": rule.action}
    for name, info in TransformSection.model_fields.items():
        value = getattr(rule, name)
        if name == "dest_provider" and value is not None:
            value = value.name
        # Left out, the path would have its default, which is not the empty one.
        if name == "match_path" and value == "":
            section[name] = None
        elif name != "action" and value not in ("", None, [], {}, info.default):
            section[name] = value
    return section


def _public_settings(data: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the file's server settings without secrets, and the names of what is left out.

    What `DATABASE_KEYS` lists is not among them: the database has the current ones.
    """
    public = {key: value for key, value in data.items() if key not in DATABASE_KEYS[()]}
    for path, keys in DATABASE_KEYS.items():
        group = public.get(str(path[0])) if path else None
        if isinstance(group, dict):
            public[str(path[0])] = {key: group[key] for key in group if key not in keys}
    left_out: list[str] = []
    return _without_secrets(public, (), left_out), left_out


def _without_secrets(
    data: dict[str, Any], path: tuple[str, ...], left_out: list[str]
) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in data.items():
        here = (*path, key)
        if isinstance(value, dict):
            kept[key] = _without_secrets(value, here, left_out)
        elif isinstance(value, str) and here in _SECRET_SETTINGS:
            left_out.append(dotted(here))
        else:
            kept[key] = value
    return kept
