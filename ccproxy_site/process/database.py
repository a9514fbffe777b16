"""Creation, migration and first filling of the database.

The work is done one layer below, where commands of the interceptor may use it too.
"""

from __future__ import annotations

from interceptor.config.transfer.database import ensure_database

__all__ = ["ensure_database"]
