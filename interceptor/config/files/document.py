"""YAML documents that know the line of each key, and errors that name it. No Django."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from providers.base.errors import ConfigError
from providers.base.nearest import name_hint, nearest

ROOT_KEY = "ccproxy"
KeyPath = tuple[str | int, ...]

_TEXT_TAG = "tag:yaml.org,2002:str"
_MERGE_TAG = "tag:yaml.org,2002:merge"
MAX_SHOWN_CHARS = 60
_SECRET_WORDS = ("password", "key", "secret", "token", "salt", "seed", "auth", "headers", "proxy")


@dataclass(frozen=True)
class Document:
    """The settings of one file.

    `prefix` is the root key where the file has one; lines count from 1.
    """

    data: dict[str, Any] = field(default_factory=dict)
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    source: str = ""
    prefix: KeyPath = ()

    def error(self, path: KeyPath, problem: str, label: str = "") -> ConfigError:
        """Return an error that names the file, the line and the complete dotted key."""
        where = f"{self.source}:{self.line(path)}: " if self.source else ""
        return ConfigError(f"{where}{label}{dotted(self.prefix + path)}{problem}")

    def line(self, path: KeyPath) -> int:
        """Return the line of the key, or of the nearest key above it."""
        for end in range(len(path), -1, -1):
            if (line := self.lines.get(path[:end])) is not None:
                return line
        return 1


def dotted(path: KeyPath) -> str:
    """Return a path as people write it.

    `("hooks", "inbound", 0, "hook")` → `hooks.inbound[0].hook`.
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def read_document(path: Path) -> Document:
    """Read a YAML file; a missing one is empty.

    Raises:
        ConfigError: the file cannot be read or is not YAML; one sentence with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Document(source=str(path))
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: this is not a text file in UTF-8") from None
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}") from None
    return parse_document(text, str(path))


def parse_document(text: str, source: str) -> Document:
    """Parse YAML, with or without the `ccproxy:` root.

    Raises:
        ConfigError: one sentence with file and line.
    """
    lines: dict[KeyPath, int] = {}
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return Document(source=source)
        _walk(node, (), lines, source)
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{source}{line}: not valid YAML: {exc.problem or exc.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise ConfigError(f"{source}: not valid YAML: {str(exc).splitlines()[0]}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{source}:1: expected settings (key: value), found {_kind(data)}")
    return _without_root(Document(data=data, lines=lines, source=source))


def _without_root(document: Document) -> Document:
    if ROOT_KEY not in document.data:
        return document
    if others := [key for key in document.data if key != ROOT_KEY]:
        raise document.error(
            (others[0],), f" stands beside the root key {ROOT_KEY}: indent it below {ROOT_KEY}"
        )
    data = document.data[ROOT_KEY]
    if data is not None and not isinstance(data, dict):
        raise document.error((ROOT_KEY,), f" holds settings (key: value), not {_kind(data)}")
    lines = {path[1:]: line for path, line in document.lines.items() if path[:1] == (ROOT_KEY,)}
    return Document(data=data or {}, lines=lines, source=document.source, prefix=(ROOT_KEY,))


def _walk(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], source: str) -> None:
    """Note the line of every key; refuse keys that are not text and keys given twice."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            _walk(item, (*path, index), lines, source)
    elif isinstance(node, yaml.MappingNode):
        _walk_mapping(node, path, lines, source)


def _walk_mapping(
    node: yaml.MappingNode, path: KeyPath, lines: dict[KeyPath, int], source: str
) -> None:
    seen: set[str] = set()
    for key, value in node.value:
        # `<<: *anchor` copies keys that were noted where they stand.
        if key.tag == _MERGE_TAG:
            continue
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag != _TEXT_TAG:
            shown = key.value if isinstance(key, yaml.ScalarNode) else "this key"
            raise ConfigError(f"{source}:{line}: {shown} is not a text key: put it in quotes")
        # PyYAML would let the last one win, and the user would look at the first one.
        if key.value in seen:
            raise ConfigError(f"{source}:{line}: {dotted((*path, key.value))} is given twice")
        seen.add(key.value)
        lines[(*path, key.value)] = line
        _walk(value, (*path, key.value), lines, source)


def _kind(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", str: "a text", type(None): "nothing"}
    return kinds.get(type(value), "a single value")


def known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return every dotted key of a model and its nested models."""
    keys: list[str] = []
    for name, info in model.model_fields.items():
        keys.append(prefix + name)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            keys += known_keys(info.annotation, f"{prefix}{name}.")
    return keys


def refuse(
    document: Document,
    model: type[BaseModel],
    failure: ValidationError,
    base: KeyPath = (),
    further: Mapping[KeyPath, tuple[str, ...]] = MappingProxyType({}),
) -> ConfigError:
    """Return the first problem of a failed validation as an error of one sentence.

    Args:
        document: what was validated.
        model: the model that refused it.
        failure: its refusal.
        base: the path of the model in the document.
        further: keys at a path that other models read, for suggestions.
    """
    problems = failure.errors(include_url=False)
    # An unknown key is often the cause of the other problems, such as a missing key.
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    problem = unknown[0] if unknown else problems[0]
    is_missing = problem["type"] == "missing"
    path = _real_path(document.data, (*base, *problem["loc"]), missing_last=is_missing)
    if unknown:
        inner = path[len(base) :]
        hint = key_hint(model, inner, further.get(inner[:-1], ()))
        return document.error(path, f": {hint}", "unknown key ")
    if is_missing:
        return document.error(path, " is missing")
    sentence = _sentence(problem["type"], problem["msg"])
    shown = "" if sentence.startswith(_NAMES_ITS_VALUE) else _shown(document.data, path)
    return document.error(path, f": {sentence}{shown}{value_hint(problem)}")


def unknown_choice(choices: Iterable[str]) -> PydanticCustomError:
    """Return the error of a validator for a value that is none of the choices."""
    names = list(choices)
    context = {"names": ", ".join(names), "expected": ", ".join(f"'{name}'" for name in names)}
    return PydanticCustomError("unknown_choice", "should be one of {names}", context)


def value_hint(problem: ErrorDetails) -> str:
    """Return the choice that a refused value may have meant, to follow the message, or "".

    `redirct` for `Literal["redirect", "transform"]` → "; did you mean redirect?".
    """
    given = problem["input"]
    match problem["type"]:
        case "literal_error" | "unknown_choice":
            choices = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        case "union_tag_invalid":
            choices = re.findall(r"'([^']*)'", problem["ctx"]["expected_tags"])
            given = problem["ctx"]["tag"]
        case _:
            return ""
    meant = nearest(given, choices) if isinstance(given, str) else ""
    return f"; did you mean {meant}?" if meant else ""


def key_hint(model: type[BaseModel], path: KeyPath, further: tuple[str, ...]) -> str:
    """Return the end of a sentence about an unknown key: a suggestion, or the keys that exist.

    A key of the same name elsewhere comes first, then a similar sibling:
    `provider_map` → `inspector.provider_map`; `inspectr` → `inspector`.
    """
    word = str(path[-1])
    # Reversed, so that of equal names the first one stays.
    elsewhere = {key.rpartition(".")[2]: key for key in reversed(known_keys(model))}
    if word in elsewhere:
        return f"did you mean {elsewhere[word]}?"
    return name_hint(word, [*_fields_at(model, path[:-1]), *further])


def _fields_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys that a mapping at `path` may have."""
    candidates: list[Any] = [model]
    for part in path:
        candidates = [inner for candidate in candidates for inner in _inside(candidate, part)]
    models = [found for candidate in candidates for found in _models(candidate)]
    return [name for found in models for name in found.model_fields]


def _inside(annotation: Any, part: str | int) -> list[Any]:
    """Return the types of the values at `part` of a value of this type."""
    found: list[Any] = []
    for kind in _members(annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if isinstance(part, str) and part in kind.model_fields:
                found.append(kind.model_fields[part].annotation)
        elif get_origin(kind) in (dict, list, tuple):
            # dict[str, Item] → Item; list[Item] → Item; tuple[Item, ...] → Item
            found += [inner for inner in get_args(kind)[-2:] if inner not in (str, Ellipsis)]
    return found


def _members(annotation: Any) -> list[Any]:
    """Return the members of a union, or the type itself; metadata of `Annotated` is dropped."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return [member for inner in get_args(annotation) for member in _members(inner)]
    if hasattr(annotation, "__metadata__"):
        return _members(get_args(annotation)[0])
    return [annotation]


def _models(annotation: Any) -> list[type[BaseModel]]:
    members = [member for member in _members(annotation) if isinstance(member, type)]
    return [member for member in members if issubclass(member, BaseModel)]


def _real_path(data: Any, loc: tuple[str | int, ...], missing_last: bool) -> KeyPath:
    """Return `loc` without the names of union members, which the user never wrote.

    Pydantic's `("auth", "command", "header")` → `("auth", "header")`, where the file says
    `auth: {type: command, header: 1}`. With `missing_last`, the last part stays.
    """
    path: list[str | int] = []
    for index, part in enumerate(loc):
        is_last = index == len(loc) - 1
        if _has(data, part):
            data = data[part]
        elif not (missing_last and is_last):
            continue
        path.append(part)
    return tuple(path)


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, dict) and part in data


_NAMES_ITS_VALUE = "there is no "
"""Begins the messages of `no_such`, which quote what was written."""
_SENTENCES = {
    "model_type": "should be a mapping (key: value)",
    "model_attributes_type": "should be a mapping (key: value)",
    "dict_type": "should be a mapping (key: value)",
    "tuple_type": "should be a list",
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "string_type": "should be a text; put it in quotes",
    "union_tag_not_found": "needs a type: command, file or key",
    "union_tag_invalid": (
        "has an unknown type: there are command, file, key and three kinds of …_oauth"
    ),
}


def _sentence(kind: str, message: str) -> str:
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]


def _shown(data: Any, path: KeyPath) -> str:
    """Return the refused value, to follow the message; "" when it may be secret or is long."""
    for part in path:
        data = data[part]
    names = [str(part).lower() for part in path]
    may_be_secret = any(word in name for name in names for word in _SECRET_WORDS)
    if may_be_secret or isinstance(data, dict | list) or len(str(data)) > MAX_SHOWN_CHARS:
        return ""
    return f", not {data!r}"
