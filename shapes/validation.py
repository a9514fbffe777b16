"""Checks of shapes, their patches and profiles before they are saved.

The admin, the YAML import, the commands and the REST API share them.
"""

from __future__ import annotations

import re
from typing import Any, Final, Protocol

from django.core.exceptions import ValidationError

from providers.base.json_value import check_json
from providers.base.pattern import PatternError, compile_pattern
from providers.fields import Ciphertext
from shapes.replay.inner_hook_names import BadInnerHooks, parse_inner_hooks
from shapes.replay.merge_strategy import BadStrategy, parse_strategy
from shapes.replay.shape_text import BadShape, read_body, read_headers

MAX_FIELDS: Final = 200
MAX_POSITIONS: Final = 32
MAX_POSITION: Final = 100_000

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, token
_HEX: Final = re.compile(r"(0[xX])?[0-9A-Fa-f]{1,128}")


class ShapeRow(Protocol):
    """Fields of a shape that are checked. The model stands above this module."""

    active: Any
    path: Any
    headers: Any
    body: Any
    fingerprint: Any
    scrubbed: Any


class ProfileRow(Protocol):
    """Fields of a profile that are checked."""

    path_pattern: Any
    content_fields: Any
    merge_strategies: Any
    shape_hooks: Any
    preserve_headers: Any
    strip_headers: Any
    billing_salt: Any
    billing_seed: Any
    billing_positions: Any


def validate_shape(shape: ShapeRow) -> None:
    """Raise ValidationError, by field, for a shape that no request could take."""
    errors: dict[str, str] = {}
    if not str(shape.path or "").startswith("/"):
        errors["path"] = "The path starts with a slash."
    try:
        read_headers(shape.headers)
    except BadShape as exc:
        errors["headers"] = str(exc)
    try:
        if shape.body:
            read_body(shape.body)
    except BadShape as exc:
        errors["body"] = str(exc)
    for field in ("fingerprint", "scrubbed"):
        if problem := check_json(getattr(shape, field)):
            errors[field] = problem
    if shape.active and not shape.body:
        errors["active"] = (
            "A shape without a body cannot be activated: capture it from a flow first."
        )
    if errors:
        raise ValidationError(errors)


def validate_profile(profile: ProfileRow) -> None:
    """Raise ValidationError, by field, for a profile that no request could be shaped with."""
    errors: dict[str, str] = {}
    try:
        compile_pattern(profile.path_pattern or "")
    except PatternError as exc:
        errors["path_pattern"] = str(exc)
    for field in ("content_fields", "preserve_headers", "strip_headers"):
        if problem := _check_names(getattr(profile, field), is_header=field != "content_fields"):
            errors[field] = problem
    # Strategies are compared with the content fields, which must be a list for it.
    if "content_fields" not in errors:
        fields = frozenset(profile.content_fields)
        if problem := _check_strategies(profile.merge_strategies, fields):
            errors["merge_strategies"] = problem
    try:
        parse_inner_hooks(profile.shape_hooks)
    except BadInnerHooks as exc:
        errors["shape_hooks"] = str(exc)
    if problem := check_json(profile.shape_hooks):
        errors["shape_hooks"] = problem
    errors |= _check_billing(profile)
    if errors:
        raise ValidationError(errors)


def _check_names(names: object, *, is_header: bool) -> str | None:
    """Return the fault of a list of fields or headers as a sentence, or None."""
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        return "Give a list of names."
    if len(names) > MAX_FIELDS:
        return f"Give at most {MAX_FIELDS} names."
    if len(set(names)) != len(names):
        return "A name stands twice in the list."
    for name in names:
        if is_header and not _HEADER_NAME.fullmatch(name):
            return f"“{name[:60]}” is not a header name."
    return check_json(names)


def _check_strategies(strategies: object, content_fields: frozenset[str]) -> str | None:
    """Return the fault of the merge strategies as a sentence, or None."""
    if not isinstance(strategies, dict):
        return "Give a mapping of content fields to strategies."
    for field, strategy in strategies.items():
        if field not in content_fields:
            return f"“{str(field)[:60]}” is not among the content fields."
        try:
            parse_strategy(strategy)
        except BadStrategy as exc:
            return f"{field}: {exc}"
    return None


def _check_billing(profile: ProfileRow) -> dict[str, str]:
    """Return errors by field for constants in another form. Stored ones are not read."""
    errors: dict[str, str] = {}
    for field, what in (("billing_salt", "hex text"), ("billing_seed", "a hex integer")):
        constant = getattr(profile, field)
        if not constant or isinstance(constant, Ciphertext):
            continue
        if not _HEX.fullmatch(constant):
            errors[field] = f"Give {what}."
    seed = profile.billing_seed
    is_new_seed = bool(seed) and not isinstance(seed, Ciphertext)
    if is_new_seed and "billing_seed" not in errors and int(seed, 16) >= 1 << 64:
        errors["billing_seed"] = "The seed has at most 64 bits."
    if problem := _check_positions(profile.billing_positions):
        errors["billing_positions"] = problem
    return errors


def _check_positions(positions: object) -> str | None:
    problem = f"Give a list of at most {MAX_POSITIONS} indices, each from 0 to {MAX_POSITION}."
    if not isinstance(positions, list) or len(positions) > MAX_POSITIONS:
        return problem
    for position in positions:
        if isinstance(position, bool) or not isinstance(position, int):
            return problem
        if not 0 <= position <= MAX_POSITION:
            return problem
    return None
