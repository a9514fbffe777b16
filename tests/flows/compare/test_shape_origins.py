"""Words and kinds of the origins that a shape's trace has."""

from __future__ import annotations

from flows.compare.shape_origins import PartOrigin, shape_origins


def test_headers_and_fields_are_listed_apart_with_their_origin_in_words():
    found = shape_origins(
        [
            ["header:x-app", "shape"],
            ["header:x:y", "dropped"],
            ["body:system", "caching.insert"],
            ["body:tools", "both"],
            ["body:model", "client"],
        ]
    )
    assert found is not None
    assert found.headers == [
        PartOrigin("x-app", "shape", "from the shape"),
        PartOrigin("x:y", "dropped", "not sent"),
    ]
    assert found.fields == [
        PartOrigin("system", "made", "made by caching.insert"),
        PartOrigin("tools", "both", "from the shape and the client"),
        PartOrigin("model", "client", "from the client"),
    ]


def test_another_hook_has_none():
    assert shape_origins([]) is None
