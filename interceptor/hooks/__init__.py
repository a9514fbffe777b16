"""The built-in hooks: name → dotted path.

A user's own hook needs no line here, only a setting with its path.
"""

from __future__ import annotations

HOOKS: dict[str, str] = {
    "inject_auth": "interceptor.hooks.inject_auth.inject_auth",
    "extract_session_id": "interceptor.hooks.extract_session_id.extract_session_id",
    "verbose_mode": "interceptor.hooks.verbose_mode.verbose_mode",
    "commitbee_compat": "interceptor.hooks.commitbee_compat.commitbee_compat",
}
