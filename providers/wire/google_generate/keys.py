"""Google's JSON comes in camelCase or snake_case (proto JSON takes both); readers here see
camelCase only.
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
    """The object with its own keys in camelCase; what is inside stays as it is."""
    for key in body:
        if "_" in key:
            return {_camel(key) if "_" in key else key: value for key, value in body.items()}
    return body


def camel_object(value: Any, path: str) -> JsonObject:
    """The value, which must be an object, with camelCase keys."""
    return camel(an_object(value, path))
