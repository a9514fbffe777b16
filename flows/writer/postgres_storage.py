"""Storage options of PostgreSQL for the wide columns; set after every migration where needed."""

from __future__ import annotations

from typing import Any

from django.db import connections

_HAS_LZ4 = (
    "SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"
)
_COMPRESSED = (
    ("flows_flowbody", "blob"),
    ("flows_flowtext", "parts"),
    ("flows_searchshelf", "postings"),
)
_STATE = """
    SELECT attstorage = 'e', attcompression = 'l' FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped
"""


def set_column_storage(using: str, **_: Any) -> None:
    """Store bodies and the index without compression, the search text with lz4.

    Existing rows stay. Bodies and the index are compressed already. The search text is unpacked for
    every search, which lz4 does in half the time.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        for table, column in _COMPRESSED:
            cursor.execute(_STATE, [table, column])
            state = cursor.fetchone()
            if state and not state[0]:
                cursor.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
        cursor.execute(_STATE, ["flows_flow", "search_text"])
        text = cursor.fetchone()
        cursor.execute(_HAS_LZ4)
        if text and not text[1] and cursor.fetchone():
            cursor.execute("ALTER TABLE flows_flow ALTER COLUMN search_text SET COMPRESSION lz4")
