"""How PostgreSQL keeps the wide columns: set after every migration, where it is not so yet."""

from __future__ import annotations

from typing import Any

from django.db import connections

_HAS_LZ4 = (
    "SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"
)
_STATE = """
    SELECT attstorage = 'e', attcompression = 'l' FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped
"""


def set_column_storage(using: str, **_: Any) -> None:
    """Bodies are compressed already, so the server need not try; the search text is unpacked for
    every search, which lz4 does in half the time. Rows that are there keep their form.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(_STATE, ["flows_flowbody", "blob"])
        if (body := cursor.fetchone()) and not body[0]:
            cursor.execute("ALTER TABLE flows_flowbody ALTER COLUMN blob SET STORAGE EXTERNAL")
        cursor.execute(_STATE, ["flows_flow", "search_text"])
        text = cursor.fetchone()
        cursor.execute(_HAS_LZ4)
        if text and not text[1] and cursor.fetchone():
            cursor.execute("ALTER TABLE flows_flow ALTER COLUMN search_text SET COMPRESSION lz4")
