"""Settings of a Perplexity provider as the request path sees them. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from providers.base.errors import UnsupportedByTarget

BASE_URL: Final = "https://www.perplexity.ai"
ASK_PATH: Final = "/rest/sse/perplexity_ask"
PERPLEXITY_TYPE: Final = "perplexity_pro"
SESSION_COOKIE: Final = "__Secure-next-auth.session-token"
"""The credential: the cookie of a browser that is logged in. It lasts about 30 days."""
API_VERSION: Final = "2.18"
BLOCK_USE_CASES: Final = (
    "answer_modes",
    "media_items",
    "diff_blocks",
    "preserve_latex",
    "inline_claims",
)
"""Kinds of blocks that we ask for and can read."""
_SHOWN_IDS: Final = 40

ConsistencyMode = Literal["warn", "strict", "ignore"]
CitationMode = Literal["markdown", "default", "clean"]


class CatalogueModel(NamedTuple):
    """A model that clients may name: its identifier at Perplexity, and the plan that it needs."""

    id: str
    identifier: str
    mode: str = "copilot"
    tier: str = "pro"


DEFAULT_CATALOGUE: Final = (
    CatalogueModel("perplexity/best", "default", "search"),
    CatalogueModel("perplexity/deep-research", "pplx_alpha", "research"),
    CatalogueModel("perplexity/sonar-2", "experimental"),
    CatalogueModel("perplexity/pro", "pplx_pro"),
    CatalogueModel("perplexity/reasoning", "pplx_reasoning"),
    CatalogueModel("openai/gpt-5.4", "gpt54"),
    CatalogueModel("openai/gpt-5.4-thinking", "gpt54_thinking"),
    CatalogueModel("openai/gpt-5.5", "gpt55", tier="max"),
    CatalogueModel("openai/gpt-5.5-thinking", "gpt55_thinking", tier="max"),
    CatalogueModel("openai/o3", "o3"),
    CatalogueModel("openai/o3-pro", "o3pro", tier="max"),
    CatalogueModel("google/gemini-3.1-pro-thinking-low", "gemini31pro_low"),
    CatalogueModel("google/gemini-3.1-pro-thinking-high", "gemini31pro_high"),
    CatalogueModel("anthropic/claude-sonnet-4.6", "claude46sonnet"),
    CatalogueModel("anthropic/claude-sonnet-4.6-thinking", "claude46sonnetthinking"),
    CatalogueModel("anthropic/claude-opus-4.7", "claude47opus", tier="max"),
    CatalogueModel("anthropic/claude-opus-4.7-thinking", "claude47opusthinking", tier="max"),
    CatalogueModel("moonshot/kimi-k2.6-instant", "kimik26instant"),
    CatalogueModel("moonshot/kimi-k2.6-thinking", "kimik26thinking"),
    CatalogueModel("nvidia/nemotron-3-super-thinking", "nv_nemotron_3_super"),
    CatalogueModel("xai/grok-4", "grok4"),
    CatalogueModel("deepseek/r1", "r1"),
)
"""The catalogue of a new installation; the console edits it."""


@dataclass(frozen=True, slots=True)
class SearchConf:
    """Defaults of a search; a request's own `pplx` object wins."""

    language: str = "en-US"
    timezone: str = "America/Los_Angeles"
    search_focus: str = "internet"
    sources: tuple[str, ...] = ("web",)
    search_recency_filter: str | None = None
    is_incognito: bool = False
    skip_search_enabled: bool = True
    is_nav_suggestions_disabled: bool = True
    always_search_override: bool = False
    override_no_search: bool = False
    preflight_timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class ThreadConf:
    """Limits and modes of continued threads."""

    consistency_mode: ConsistencyMode = "warn"
    citation_mode: CitationMode = "markdown"
    ttl_s: float = 1800.0
    page_size: int = 100
    page_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class UploadConf:
    """Limits of attachments."""

    max_files: int = 30
    max_file_bytes: int = 50 * 1024 * 1024
    fetch_timeout_s: float = 10.0
    upload_timeout_s: float = 60.0
    subscribe_timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class AskConf:
    """Everything that a Perplexity provider adds to a provider."""

    search: SearchConf = field(default_factory=SearchConf)
    thread: ThreadConf = field(default_factory=ThreadConf)
    upload: UploadConf = field(default_factory=UploadConf)
    models: tuple[CatalogueModel, ...] = DEFAULT_CATALOGUE

    def model(self, name: str) -> CatalogueModel:
        """Return the entry of a model's id.

        Raises:
            UnsupportedByTarget: no entry has this id; the message lists the ids.
        """
        for entry in self.models:
            if entry.id == name:
                return entry
        ids = ", ".join([entry.id for entry in self.models[:_SHOWN_IDS]])
        raise UnsupportedByTarget(
            f"Perplexity has no model “{name}” in ccproxy's catalogue; its models are: {ids}."
        )
