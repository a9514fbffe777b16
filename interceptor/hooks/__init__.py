"""Names of the product's hooks.

A user's own hook needs no line here, only a setting with its dotted path.
"""

from __future__ import annotations

HOOKS: dict[str, str] = {
    "inject_auth": "interceptor.hooks.inject_auth.inject_auth",
    "extract_session_id": "interceptor.hooks.extract_session_id.extract_session_id",
    "verbose_mode": "interceptor.hooks.verbose_mode.verbose_mode",
    "commitbee_compat": "interceptor.hooks.commitbee_compat.commitbee_compat",
    "gemini_cli": "interceptor.hooks.gemini_cli.gemini_cli",
    "shape": "interceptor.shaping.shape.shape",
    "extract_pplx_files": "interceptor.hooks.extract_pplx_files.extract_pplx_files",
    "pplx_thread_inject": "interceptor.hooks.pplx_thread_inject.pplx_thread_inject",
    "pplx_preflight": "interceptor.hooks.pplx_preflight.pplx_preflight",
    "pplx_stamp_headers": "interceptor.hooks.pplx_stamp_headers.pplx_stamp_headers",
    "inject_mcp_notifications": (
        "interceptor.hooks.inject_mcp_notifications.inject_mcp_notifications"
    ),
    "content_digest": "interceptor.hooks.content_digest.content_digest",
}
"""Built-in hooks: name → dotted path."""

PERPLEXITY_HOOKS = (
    "extract_pplx_files",
    "pplx_thread_inject",
    "pplx_stamp_headers",
    "pplx_preflight",
)
"""Hooks that run only where a provider of the type `perplexity_pro` exists."""
