"""Import of a `ccproxy.yaml`'s database sections, in one transaction.

Providers are updated by name, and those the file does not name stay. Rules, hooks and Perplexity's
models are replaced by the file's lists when it has them. Rows that stay the same are not touched,
so a rule keeps its number in the record.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.db import transaction

from interceptor.config.files.defaults import BUILT_IN_HOOKS
from interceptor.config.files.document import Document, KeyPath, dotted
from interceptor.config.files.sections.auth_section import (
    CommandSection,
    FileSection,
    KeySection,
    OauthSection,
)
from interceptor.config.files.sections.hook_section import HookEntry, HookLists
from interceptor.config.files.sections.provider_section import ProviderSection
from interceptor.config.files.sections.transform_section import TransformSection
from interceptor.config.files.whole_file import Sections
from interceptor.config.transfer.perplexity_catalogue import import_catalogue
from interceptor.config.transfer.rows import Change, ImportReport, Target
from interceptor.config.transfer.shaping_profiles import import_profiles, names_own_hooks
from interceptor.hooks import HOOKS
from interceptor.hooks.table import HookConf, build_plan
from interceptor.models import HookSetting
from interceptor.pipeline.hook import Stage
from providers.audit.log import audit_credential, shell_caller
from providers.base.errors import ConfigError
from providers.base.header_key import trimmed_key
from providers.base.nearest import no_such
from providers.fields import Ciphertext
from providers.models import Provider, TransformRule
from providers.services import unknown_fallback

_PROVIDER_KEYS: dict[str, KeyPath] = {
    "name": (),
    "model_names": ("models",),
    "auth_type": ("auth",),
    "auth_config": ("auth",),
    "auth_header": ("auth", "header"),
    "secret": ("auth", "key"),
}


def import_sections(
    sections: Sections, document: Document, *, dry_run: bool = False
) -> ImportReport:
    """Write the sections; with `dry_run` everything is tried and undone.

    Raises:
        ConfigError: something is refused; the message names the file's line and key, and nothing
        was changed.
    """
    report = ImportReport()
    with transaction.atomic():
        if sections.providers is not None:
            _import_providers(sections.providers, document, report)
        if sections.hooks is not None:
            _import_hooks(sections.hooks, document, report)
        if sections.transforms is not None:
            _import_rules(sections.transforms, document, report)
        if sections.profiles is not None:
            import_profiles(sections.profiles, document, report)
        if sections.models is not None:
            import_catalogue(sections.models, document, report)
        _refuse_unknown_fallbacks(sections, document)
        transaction.set_rollback(dry_run)
    return report


def _refuse_unknown_fallbacks(sections: Sections, document: Document) -> None:
    """Reject a fallback that is no provider, once all providers of the file are written.

    Raises:
        ConfigError: it names the list in the file.
    """
    lists: list[tuple[KeyPath, Sequence[str]]] = []
    for name, provider in (sections.providers or {}).items():
        lists.append((("providers", name, "fallbacks"), provider.fallbacks))
    for index, rule in enumerate(sections.transforms or ()):
        lists.append((("inspector", "transforms", index, "fallbacks"), rule.fallbacks))
    for path, fallbacks in lists:
        if problem := unknown_fallback(fallbacks):
            raise document.error(path, f": {problem}")


def refuse_unsafe_file(path: Path, sections: Sections) -> None:
    """Reject a file that names code to run and that others may write.

    Raises:
        ConfigError: it is such a file.
    """
    providers = (sections.providers or {}).values()
    has_command = any(isinstance(provider.auth, CommandSection) for provider in providers)
    lists = sections.hooks or HookLists()
    # A dotted path is a function of the user's own; importing its module runs code.
    has_function = any(
        "." in entry.hook for entries in lists.by_stage().values() for entry in entries
    )
    has_function = has_function or names_own_hooks(sections.profiles)
    if (has_command or has_function) and path.stat().st_mode & 0o022:
        raise ConfigError(
            f"{path} names code to run and others may write it; run: chmod go-w {path}"
        )


def _import_providers(
    providers: dict[str, ProviderSection], document: Document, report: ImportReport
) -> None:
    stored = {row.name: row for row in Provider.objects.all()}
    for name, section in providers.items():
        row = stored.get(name) or Provider(name=name)
        # The row is changed in place, and the audit compares.
        before = copy.copy(stored.get(name))
        target = Target(row, f"provider {name}", ("providers", name), document, _PROVIDER_KEYS)
        values = provider_values(row, section) | credential_values(row, section, report)
        target.write(values, report)
        audit_credential(before, row, by=shell_caller())


def provider_values(row: Provider, section: ProviderSection) -> dict[str, Any]:
    """Return a provider's fields as the file wants them, without its credential."""
    headers: dict[str, str] = {}
    for name, given in section.headers.items():
        # null keeps the stored value: an export does not tell credentials.
        value = row.headers.get(name) if given is None else given
        if value is not None:
            headers[name] = value
    return {
        "type": section.type,
        "enabled": section.enabled,
        "scheme": section.scheme,
        "host": section.host,
        "port": section.port,
        "path": section.path,
        "verify_tls": section.verify_tls,
        "headers": headers,
        "native_formats": list(section.native_formats),
        "model_names": list(section.models),
        "fingerprint_profile": section.fingerprint_profile or "",
        "retry": _retry_values(section),
        "fallbacks": list(section.fallbacks),
        "cooldown_seconds": section.cooldown_seconds,
        "server_tools": section.server_tools or "",
    }


def _retry_values(section: ProviderSection | TransformSection) -> dict[str, Any]:
    """Return the retry policy as it is stored: what the file mentions, {} for none."""
    if section.retry is None:
        return {}
    return section.retry.model_dump(mode="json", exclude_unset=True)


def credential_values(
    row: Provider, section: ProviderSection, report: ImportReport
) -> dict[str, Any]:
    """Return the credential's fields; {} when the file does not mention them, which keeps them."""
    auth = section.auth
    if auth is None:
        # `auth: null` means no credential; without the key, the file says nothing of it.
        if "auth" not in section.model_fields_set:
            return {}
        return {"auth_type": "none", "auth_config": {}, "auth_header": "", "secret": ""}
    values: dict[str, Any] = {
        "auth_type": auth.type,
        "auth_header": auth.header.lower(),
        "auth_config": {},
    }
    if isinstance(auth, KeySection):
        return values | _key(row, auth, report)
    if isinstance(auth, CommandSection):
        values["auth_config"] = {"command": auth.command}
    elif isinstance(auth, FileSection):
        values["auth_config"] = {"file": auth.file}
    else:
        values["auth_config"] = auth.model_dump(
            exclude={"type", "header", "client_secret"}, exclude_none=True
        )
        return values | _client_secret(row, auth, report)
    return values | {"secret": ""}


def _key(row: Provider, auth: KeySection, report: ImportReport) -> dict[str, Any]:
    if auth.key is None:
        if not row.secret:
            report.notes.append(
                f"provider {row.name} has no key yet; store it with: ccproxy setkey {row.name}"
            )
        return {}
    report.notes.append(
        f"providers.{row.name}.auth.key is stored encrypted now; remove it from the file"
    )
    key = trimmed_key(auth.key)
    if isinstance(row.secret, Ciphertext) and row.secret.decrypt() == key:
        return {}
    return {"secret": key}


def _client_secret(row: Provider, auth: OauthSection, report: ImportReport) -> dict[str, Any]:
    """Return the client secret's field.

    A file without one keeps the stored one, unless that belongs to another kind of source.
    """
    if auth.client_secret is None:
        return {} if row.auth_type == auth.type else {"secret": ""}
    report.notes.append(
        f"providers.{row.name}.auth.client_secret is stored encrypted now; remove it from the file"
    )
    if isinstance(row.secret, Ciphertext) and row.secret.decrypt() == auth.client_secret:
        return {}
    return {"secret": auth.client_secret}


def _import_hooks(hooks: HookLists, document: Document, report: ImportReport) -> None:
    wanted = _placed(hooks, document, report)
    stored = {(row.stage, row.name): row for row in HookSetting.objects.all()}
    for (stage, name), row in stored.items():
        if (stage, name) not in wanted:
            row.delete()
            report.changes.append(Change("removed", f"hook {stage}/{name}"))
    position = dict.fromkeys(Stage, 0)
    for (stage, name), (entry, path) in wanted.items():
        row = stored.get((stage, name)) or HookSetting(stage=stage, name=name)
        enabled = entry.enabled and _can_run(entry, Stage(stage), path, document, report)
        values = {"position": position[Stage(stage)], "params": entry.params, "enabled": enabled}
        Target(row, f"hook {stage}/{name}", path, document).write(values, report)
        position[Stage(stage)] += 1


def _placed(
    hooks: HookLists, document: Document, report: ImportReport
) -> dict[tuple[str, str], tuple[HookEntry, KeyPath]]:
    """Return the entries by stage and name, in order.

    A built-in hook that stands in the other stage's list moves to its own stage, with a note.
    """
    flat = isinstance(document.data.get("hooks"), list)
    placed: dict[tuple[str, str], tuple[HookEntry, KeyPath]] = {}
    for listed, entries in hooks.by_stage().items():
        for index, entry in enumerate(entries):
            path: KeyPath = ("hooks", index) if flat else ("hooks", listed, index)
            stage = _stage(entry.hook, listed, path, document)
            if stage != listed:
                report.notes.append(
                    f"{dotted(path)}: {entry.hook} is an {stage} hook and was put there"
                )
            if (stage, entry.hook) in placed:
                raise document.error(path, f": {entry.hook} stands twice in the {stage} hooks")
            placed[stage, entry.hook] = (entry, path)
    return placed


def _stage(name: str, listed: str, path: KeyPath, document: Document) -> str:
    if name in BUILT_IN_HOOKS:
        return BUILT_IN_HOOKS[name]
    if "." not in name and name not in HOOKS:
        raise document.error(path, f": {no_such('hook', name, BUILT_IN_HOOKS)}")
    return listed


def _can_run(
    entry: HookEntry, stage: Stage, path: KeyPath, document: Document, report: ImportReport
) -> bool:
    """Return False, with a note, for a function of the user's that cannot be loaded."""
    try:
        build_plan([HookConf(stage=stage, name=entry.hook, params=entry.params)], stage)
    except ConfigError as exc:
        if entry.hook in HOOKS:
            raise document.error(path, f": {exc}") from None
        report.notes.append(f"{dotted(path)}: {exc}; it is stored switched off")
        return False
    return True


def _import_rules(
    transforms: tuple[TransformSection, ...], document: Document, report: ImportReport
) -> None:
    stored = list(TransformRule.objects.all())
    wanted = [rule_values(section, index, document) for index, section in enumerate(transforms)]
    rows = _matched(stored, wanted)
    for row in stored:
        if row not in rows:
            report.changes.append(Change("removed", f"rule {_rule_label(row)}"))
            row.delete()
    for index, (row, values) in enumerate(zip(rows, wanted, strict=True)):
        path: KeyPath = ("inspector", "transforms", index)
        label = values["name"] or f"{index + 1}: {values['action']}"
        Target(row or TransformRule(), f"rule {label}", path, document).write(values, report)


def _rule_label(row: TransformRule) -> str:
    return row.name or f"{row.position + 1}: {row.action}"


def _matched(
    stored: list[TransformRule], wanted: list[dict[str, Any]]
) -> list[TransformRule | None]:
    """Return, for each wanted rule, the stored row that it becomes, or None.

    Rows with equal content are taken first, then rows with an equal name. A row that moves keeps
    its number, by which the record refers to it.
    """
    left = list(stored)
    found: list[TransformRule | None] = [None] * len(wanted)
    for is_same in (_same_content, _same_name):
        for index, values in enumerate(wanted):
            if found[index] is not None:
                continue
            row = next((row for row in left if is_same(row, values)), None)
            if row is not None:
                found[index] = row
                left.remove(row)
    return found


def _same_content(row: TransformRule, values: dict[str, Any]) -> bool:
    # The position is where the row moves to.
    names = [name for name in values if name != "position"]
    return all(getattr(row, name) == values[name] for name in names)


def _same_name(row: TransformRule, values: dict[str, Any]) -> bool:
    return bool(row.name) and row.name == values["name"]


def rule_values(section: TransformSection, index: int, document: Document) -> dict[str, Any]:
    """Return the fields of the rule at `index` of the file's list."""
    texts = section.model_dump(exclude={"dest_provider", "fallbacks", "retry"})
    values = {name: "" if value is None else value for name, value in texts.items()}
    return values | {
        "position": index,
        "fallbacks": list(section.fallbacks),
        "retry": _retry_values(section),
        "dest_provider": _dest_provider(section.dest_provider, index, document),
    }


def _dest_provider(name: str | None, index: int, document: Document) -> Provider | None:
    if not name:
        return None
    known: dict[str, Provider] = {row.name: row for row in Provider.objects.all()}
    if name in known:
        return known[name]
    problem = f": {no_such('provider', name, known)}"
    raise document.error(("inspector", "transforms", index, "dest_provider"), problem)
