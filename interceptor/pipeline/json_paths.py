"""Values in a JSON body by glom path, such as "messages.0.role".

Only users' hooks work with paths, and glom costs 2 MB and 50 ms: this module is imported when a
configuration has such a hook, or by the first one that needs it.
"""

from __future__ import annotations

from typing import Any

from glom import Assign, Delete, PathAccessError, PathAssignError, PathDeleteError, glom

_MISSING = object()


def value_at(body: Any, path: str, default: Any) -> Any:
    """Return the value at a path, or `default` where there is none."""
    found = glom(body, path, default=_MISSING)
    return default if found is _MISSING else found


def set_at(body: Any, path: str, value: Any) -> None:
    """Set the value at a path, making missing objects on the way.

    Raises:
        KeyError: the body has something else on the way.
    """
    try:
        glom(body, Assign(path, value, missing=dict))
    except (PathAssignError, PathAccessError) as exc:
        raise KeyError(f"cannot set {path} in this body") from exc


def delete_at(body: Any, path: str) -> None:
    """Remove the value at a path; a missing one is fine.

    Raises:
        KeyError: the body has something else on the way.
    """
    try:
        glom(body, Delete(path, ignore_missing=True))
    except (PathDeleteError, PathAccessError) as exc:
        raise KeyError(f"cannot delete {path} in this body") from exc
