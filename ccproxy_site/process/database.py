"""Creates, migrates and first fills the database.

The work is done one layer below, where commands may use it too.
"""

from __future__ import annotations

from interceptor.config.transfer.database import DatabaseState, ensure_database

__all__ = ["DatabaseState", "ensure_database"]
