"""Keys of Google's JSON, which come in camelCase or snake_case. Readers see camelCase only.

proto JSON takes both: https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from providers.wire.core.ir import JsonObject
from providers.wire.core.shape import an_object


@lru_cache(maxsize=1024)
def _camel(key: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), key)


def camel(body: JsonObject) -> JsonObject:
    """Convert the object's own keys to camelCase; nested objects stay as they are."""
    for key in body:
        if "_" in key:
            return {_camel(key) if "_" in key else key: value for key, value in body.items()}
    return body


def set_fields(part: JsonObject) -> JsonObject:
    """Return the fields of a part that are set, in camelCase: proto JSON reads null as unset.

    `{"text": null, "inline_data": {…}}` → `{"inlineData": {…}}`
    """
    if None in part.values():
        part = {key: value for key, value in part.items() if value is not None}
    return camel(part)


def camel_object(value: Any, path: str) -> JsonObject:
    """Require an object, and convert its own keys to camelCase."""
    return camel(an_object(value, path))
