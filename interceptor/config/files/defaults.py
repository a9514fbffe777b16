"""Providers and hooks of a new installation, in the schema of `ccproxy.yaml`.

No Django.
"""

from __future__ import annotations

from interceptor.config.files.sections.hook_section import HookEntry, HookLists
from interceptor.config.files.sections.provider_section import ProviderSection
from interceptor.config.files.whole_file import Sections

BUILT_IN_HOOKS: dict[str, str] = {
    "inject_auth": "inbound",
    "extract_session_id": "inbound",
    "verbose_mode": "outbound",
    "commitbee_compat": "outbound",
    "gemini_cli": "outbound",
    "extract_pplx_files": "inbound",
    "pplx_thread_inject": "inbound",
    "pplx_stamp_headers": "outbound",
    "pplx_preflight": "outbound",
    "shape": "outbound",
    "inject_mcp_notifications": "outbound",
    "content_digest": "seal",
}
"""Every hook name the product's files may use → its stage."""

_DEFAULT_HOOKS = (
    "inject_auth",
    "extract_session_id",
    "verbose_mode",
    # Does nothing until a program sends events for a session.
    "inject_mcp_notifications",
    # Does nothing until a person acknowledges a profile and activates a shape.
    "shape",
    "commitbee_compat",
    # They do nothing until a provider of the type `perplexity_pro` exists.
    "extract_pplx_files",
    "pplx_thread_inject",
    "pplx_stamp_headers",
    "pplx_preflight",
)


def _provider(kind: str, host: str, path: str, variable: str, header: str = "") -> ProviderSection:
    auth = {"type": "command", "command": f"printenv {variable}", "header": header}
    return ProviderSection.model_validate({"type": kind, "host": host, "path": path, "auth": auth})


def default_providers() -> dict[str, ProviderSection]:
    """Return the vendors' own APIs, each with the key in its usual environment variable."""
    generate = "/v1beta/models/{model}:{action}"
    return {
        "anthropic": _provider(
            "anthropic", "api.anthropic.com", "/v1/messages", "ANTHROPIC_API_KEY", "x-api-key"
        ),
        "openai": _provider("openai", "api.openai.com", "/v1/chat/completions", "OPENAI_API_KEY"),
        "google": _provider(
            "google",
            "generativelanguage.googleapis.com",
            generate,
            "GEMINI_API_KEY",
            "x-goog-api-key",
        ),
        "deepseek": _provider(
            "anthropic",
            "api.deepseek.com",
            "/anthropic/v1/messages",
            "DEEPSEEK_API_KEY",
            "x-api-key",
        ),
        "openrouter": _provider(
            "openai", "openrouter.ai", "/api/v1/chat/completions", "OPENROUTER_API_KEY"
        ),
    }


def default_hooks() -> HookLists:
    """Return the built-in hooks that run unless a file says otherwise."""
    entries = [(BUILT_IN_HOOKS[name], HookEntry(hook=name)) for name in _DEFAULT_HOOKS]
    return HookLists(
        inbound=tuple(entry for stage, entry in entries if stage == "inbound"),
        outbound=tuple(entry for stage, entry in entries if stage == "outbound"),
    )


def with_defaults(sections: Sections) -> Sections:
    """Return the sections of a file; those that it does not mention are a new installation's."""
    return Sections(
        providers=default_providers() if sections.providers is None else sections.providers,
        hooks=default_hooks() if sections.hooks is None else sections.hooks,
        transforms=sections.transforms,
        profiles=sections.profiles,
    )
