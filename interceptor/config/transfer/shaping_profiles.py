"""Import and export of `shaping.providers`: profiles of provider types.

An import never acknowledges a provider's terms: a person does that.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

from interceptor.config.files.document import Document, KeyPath
from interceptor.config.files.sections.shaping_section import BillingSection, ProfileSection
from interceptor.config.transfer.rows import ImportReport, Target
from providers.base.names import PROVIDER_TYPES
from providers.base.nearest import no_such
from shapes.models import ShapingProfile
from shapes.replay.inner_hook_names import (
    INNER_HOOKS,
    PRODUCT_PREFIX,
    BadInnerHooks,
    own_hooks,
    parse_inner_hooks,
)

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_KEYS: Final[dict[str, KeyPath]] = {
    "path_pattern": ("capture", "path_pattern"),
    "billing_salt": ("billing", "salt"),
    "billing_seed": ("billing", "seed"),
    "billing_positions": ("billing", "positions"),
}
_LISTS: Final = ("content_fields", "preserve_headers", "strip_headers")


def import_profiles(
    profiles: dict[str, ProfileSection], document: Document, report: ImportReport
) -> None:
    """Write the profiles of a file; those that it does not name stay.

    Raises:
        ConfigError: one is refused; the message names the file's line and key.
    """
    for provider_type, section in profiles.items():
        path: KeyPath = ("shaping", "providers", provider_type)
        if provider_type not in PROVIDER_TYPES:
            problem = no_such("provider type", provider_type, PROVIDER_TYPES)
            raise document.error(path, f": {problem}")
        row = ShapingProfile.of(provider_type)
        target = Target(row, f"profile {provider_type}", path, document, _KEYS)
        target.write(_values(row, section, path, document), report)
        if not row.is_acknowledged:
            report.notes.append(
                f"no request to {provider_type} is shaped until a person confirms the provider's"
                f" terms: ccproxy shapes acknowledge {provider_type}"
            )


def names_own_hooks(profiles: dict[str, ProfileSection] | None) -> bool:
    """Return True when a profile names a function of the user's own, whose import runs code."""
    return any(own_hooks(section.shape_hooks or ()) for section in (profiles or {}).values())


def _values(
    row: ShapingProfile, section: ProfileSection, path: KeyPath, document: Document
) -> dict[str, Any]:
    """Return the fields that the file mentions."""
    given = section.model_fields_set
    # A new row is written in full, with what ships for the type.
    values: dict[str, Any] = {"path_pattern": row.path_pattern}
    for name in _LISTS:
        if (names := getattr(section, name)) is not None:
            values[name] = list(names)
    if section.merge_strategies is not None:
        values["merge_strategies"] = dict(section.merge_strategies)
    if section.shape_hooks is not None:
        values["shape_hooks"] = _inner_hooks(section.shape_hooks, path, document)
    if section.capture is not None and section.capture.path_pattern is not None:
        values["path_pattern"] = section.capture.path_pattern
    if section.billing is not None:
        values |= _billing(row, section.billing, path, document)
    elif "billing" in given:
        values |= {"billing_salt": "", "billing_seed": "", "billing_positions": []}
    return values


def _inner_hooks(entries: tuple[Any, ...], path: KeyPath, document: Document) -> list[Any]:
    try:
        return [hook.as_stored() for hook in parse_inner_hooks(entries)]
    except BadInnerHooks as exc:
        raise document.error((*path, "shape_hooks"), f": {exc}") from None


def _billing(
    row: ShapingProfile, section: BillingSection, path: KeyPath, document: Document
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in ("salt", "seed"):
        constant = getattr(section, name)
        # null keeps the stored one: an export does not tell it.
        if constant is None:
            continue
        text = _from_environment(constant, (*path, "billing", name), document)
        stored = getattr(row, f"billing_{name}")
        if not stored or stored.decrypt() != text:
            values[f"billing_{name}"] = text
    if section.positions is not None:
        values["billing_positions"] = list(section.positions)
    return values


def _from_environment(text: str, key: KeyPath, document: Document) -> str:
    """Return a constant, read from the environment where the file has `${NAME}`."""
    found = _VARIABLE.fullmatch(text.strip())
    if found is None:
        return text.strip()
    value = os.environ.get(found[1], "").strip()
    if not value:
        raise document.error(key, f": the variable {found[1]} is not set")
    return value


def profiles_section() -> dict[str, Any]:
    """Return `shaping.providers`: every stored profile in full, without its billing constants."""
    return {row.provider_type: _section(row) for row in ShapingProfile.objects.all()}


def profile_comments() -> list[str]:
    """Return a comment for each profile whose constants an export leaves out."""
    return [
        f"The billing constants of {row.provider_type} are left out; without them, the stored ones"
        " are kept"
        for row in ShapingProfile.objects.all()
        if row.billing_salt or row.billing_seed
    ]


def _section(row: ShapingProfile) -> dict[str, Any]:
    section: dict[str, Any] = {name: list(getattr(row, name)) for name in _LISTS[:1]}
    section["merge_strategies"] = dict(row.merge_strategies)
    section["shape_hooks"] = [_product_name(entry) for entry in row.shape_hooks]
    section |= {name: list(getattr(row, name)) for name in _LISTS[1:]}
    section["capture"] = {"path_pattern": row.path_pattern}
    if row.billing_positions:
        section["billing"] = {"positions": list(row.billing_positions)}
    return section


def _product_name(entry: Any) -> Any:
    """Return an inner hook as the product's files write it."""
    if isinstance(entry, str):
        return PRODUCT_PREFIX + entry if entry in INNER_HOOKS else entry
    return {**entry, "hook": _product_name(entry["hook"])}
