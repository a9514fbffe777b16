"""HAR 1.2 as a JSON schema, after http://www.softwareishard.com/blog/har-12-spec/.

Names with _ are free.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
NOT_NEGATIVE = {"type": "number", "minimum": 0}
OR_UNKNOWN = {"type": "number", "minimum": -1}
SIZE = {"type": "integer", "minimum": -1}
MOMENT = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
}


def thing(optional: dict[str, Any] | None = None, /, **required: Any) -> dict[str, Any]:
    """An object with these fields and, beyond them, only custom ones."""
    return {
        "type": "object",
        "required": sorted(required),
        "properties": {**required, **(optional or {}), "comment": TEXT},
        "patternProperties": {"^_": True},
        "additionalProperties": False,
    }


def many(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


PAIR = thing(name=TEXT, value=TEXT)
COOKIE = thing(
    {
        "path": TEXT,
        "domain": TEXT,
        "expires": MOMENT,
        "httpOnly": {"type": "boolean"},
        "secure": {"type": "boolean"},
    },
    name=TEXT,
    value=TEXT,
)
POST_DATA = thing(
    mimeType=TEXT, text=TEXT, params=many(thing({"value": TEXT, "fileName": TEXT}, name=TEXT))
)
MESSAGE = {
    "httpVersion": TEXT,
    "cookies": many(COOKIE),
    "headers": many(PAIR),
    "headersSize": SIZE,
    "bodySize": SIZE,
}
REQUEST = thing({"postData": POST_DATA}, method=TEXT, url=TEXT, queryString=many(PAIR), **MESSAGE)
CONTENT = thing(
    {"text": TEXT, "encoding": {"const": "base64"}, "compression": {"type": "integer"}},
    size={"type": "integer", "minimum": 0},
    mimeType=TEXT,
)
RESPONSE = thing(
    status={"type": "integer", "minimum": 0},
    statusText=TEXT,
    content=CONTENT,
    redirectURL=TEXT,
    **MESSAGE,
)
TIMINGS = thing(
    {"blocked": OR_UNKNOWN, "dns": OR_UNKNOWN, "connect": OR_UNKNOWN, "ssl": OR_UNKNOWN},
    send=NOT_NEGATIVE,
    wait=NOT_NEGATIVE,
    receive=NOT_NEGATIVE,
)
ENTRY = thing(
    {"pageref": TEXT, "serverIPAddress": TEXT, "connection": TEXT},
    startedDateTime=MOMENT,
    time=NOT_NEGATIVE,
    request=REQUEST,
    response=RESPONSE,
    cache={"type": "object"},
    timings=TIMINGS,
)
PAGE = thing(
    startedDateTime=MOMENT,
    id=TEXT,
    title=TEXT,
    pageTimings=thing({"onContentLoad": OR_UNKNOWN, "onLoad": OR_UNKNOWN}),
)
CREATOR = thing(name=TEXT, version=TEXT)
HAR = thing(
    log=thing(
        {"browser": CREATOR, "pages": many(PAGE)},
        version={"const": "1.2"},
        creator=CREATOR,
        entries=many(ENTRY),
    )
)


def assert_valid(har: Any) -> None:
    """Fails with the place that does not follow the schema."""
    import_module("jsonschema").validate(har, HAR)  # it ships no types
