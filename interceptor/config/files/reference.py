"""Tables of docs/configuration.md, made from the settings themselves. No Django.

`python -m interceptor.config.files.reference docs/configuration.md` rewrites the tables of the
file; a test compares them.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from interceptor.config.files.environment import OTHER_VARIABLES, variable
from interceptor.config.files.leaves import leaves
from interceptor.config.files.sections.catalogue_section import ModelSection
from interceptor.config.files.sections.provider_section import ProviderSection
from interceptor.config.files.sections.shaping_section import ProfileSection
from interceptor.config.files.sections.transform_section import TransformSection
from interceptor.config.files.server import ServerSettings

_MARK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def settings_table() -> str:
    """Return one row per server setting: key, default, variable, meaning."""
    rows = [
        (
            f"`{'.'.join(leaf.path)}`",
            _type(leaf.info.annotation),
            _default(leaf.info),
            f"`{variable(leaf.path)}`",
            leaf.info.description or "",
        )
        for leaf in leaves(ServerSettings)
    ]
    return _table(("Key", "Type", "Default", "Variable", "Meaning"), rows)


def variables_table() -> str:
    """Return the table of variables that are no settings of the file."""
    return _table(
        ("Variable", "Meaning"), [(f"`{name}`", text) for name, text in OTHER_VARIABLES.items()]
    )


def providers_table() -> str:
    """Return the table of the fields of an entry of `providers`."""
    return _fields(ProviderSection)


def transforms_table() -> str:
    """Return the table of the fields of an entry of `inspector.transforms`."""
    return _fields(TransformSection)


def profiles_table() -> str:
    """Return the table of the fields of an entry of `shaping.providers`."""
    return _fields(ProfileSection)


def catalogue_table() -> str:
    """Return the table of the fields of an entry of `pplx.models`."""
    return _fields(ModelSection)


TABLES = {
    "settings": settings_table,
    "variables": variables_table,
    "providers": providers_table,
    "transforms": transforms_table,
    "profiles": profiles_table,
    "catalogue": catalogue_table,
}


def with_tables(text: str) -> str:
    """Return the text of a document with every marked table made anew."""
    return _MARK.sub(lambda match: match[1] + TABLES[match[2]]() + match[3], text)


def _fields(model: type[BaseModel]) -> str:
    rows = [
        (
            f"`{leaf.path[0]}`",
            _type(leaf.info.annotation),
            "required" if leaf.info.is_required() else _default(leaf.info),
            leaf.info.description or "",
        )
        for leaf in leaves(model)
    ]
    return _table(("Field", "Type", "Default", "Meaning"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


def _default(info: FieldInfo) -> str:
    value = info.default
    if value is None:
        return "`null`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, dict):
        return (
            "{}" if not value else "<br>".join(f"`{key}: {inner}`" for key, inner in value.items())
        )
    return f"`{value}`" if value != "" else "empty"


def _type(annotation: Any) -> str:
    """Return a type as people say it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        names = [_type(member) for member in inner if member is not type(None)]
        return " or ".join(dict.fromkeys(names)) + (" or null" if type(None) in inner else "")
    if origin is Literal:
        return ", ".join(map(str, inner))
    if hasattr(annotation, "__metadata__"):
        return _type(inner[0])
    if origin in (tuple, list):
        return f"list of {_type(inner[0])}"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "mapping"
    return {str: "text", int: "number", float: "number", bool: "true, false"}.get(
        annotation, "text"
    )


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(with_tables(target.read_text()))
