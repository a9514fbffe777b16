"""Storage options of PostgreSQL for the wide columns; set after every migration where needed."""

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
    """Store bodies without compression and the search text with lz4; existing rows stay.

    Bodies are compressed already. The search text is unpacked for every search, which lz4 does in
    half the time.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(_STATE, ["flows_flowbody", "blob"])
        blob = cursor.fetchone()
        if blob and not blob[0]:
            cursor.execute("ALTER TABLE flows_flowbody ALTER COLUMN blob SET STORAGE EXTERNAL")
        cursor.execute(_STATE, ["flows_flow", "search_text"])
        text = cursor.fetchone()
        cursor.execute(_HAS_LZ4)
        if text and not text[1] and cursor.fetchone():
            cursor.execute("ALTER TABLE flows_flow ALTER COLUMN search_text SET COMPRESSION lz4")
