"""Settings of `pplx`: searches, threads and attachments of Perplexity accounts. No Django."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from interceptor.config.files.groups import Group, Seconds


class PplxSearchSettings(Group):
    """Defaults of a Perplexity search."""

    language: str = Field("en-US", description="Language of the search.")
    timezone: str = Field("America/Los_Angeles", description="Time zone of the search.")
    search_focus: Literal["internet", "writing"] = Field(
        "internet", description="internet or writing."
    )
    sources: tuple[Literal["web", "scholar", "social", "edgar"], ...] = Field(
        ("web",), description="Where to search."
    )
    search_recency_filter: Literal["DAY", "WEEK", "MONTH", "YEAR"] | None = Field(
        None, description="Only results this recent."
    )
    is_incognito: bool = Field(False, description="Keep the thread out of the account's history.")
    skip_search_enabled: bool = Field(True, description="Let the model answer without searching.")
    is_nav_suggestions_disabled: bool = Field(True, description="No navigation suggestions.")
    always_search_override: bool = Field(False, description="Search always.")
    override_no_search: bool = Field(False, description="Search never.")
    preflight_timeout_seconds: Seconds = Field(5, description="Limit of the warm-up call.")


class PplxThreadSettings(Group):
    """Continuing Perplexity threads."""

    consistency_mode: Literal["warn", "strict", "ignore"] = Field(
        "warn", description="When histories diverge."
    )
    citation_mode: Literal["markdown", "default", "clean"] = Field(
        "markdown", description="How citations look."
    )
    ttl_seconds: Seconds = Field(1800, description="How long a thread is remembered.")
    fetch_page_size: int = Field(100, ge=1, description="Entries asked for at once.")
    fetch_timeout_seconds: Seconds = Field(10, description="Limit per page.")


class PplxUploadSettings(Group):
    """Attachments for Perplexity."""

    max_files: int = Field(30, ge=1, description="Files per request.")
    max_file_size_bytes: int = Field(50 * 1024**2, ge=1, description="Size of one file.")
    fetch_timeout_seconds: Seconds = Field(10, description="Limit of fetching an attachment.")
    upload_timeout_seconds: Seconds = Field(60, description="Limit of one upload.")
    subscribe_timeout_seconds: Seconds = Field(120, description="Limit of waiting for processing.")


class PplxSettings(Group):
    """Perplexity Pro."""

    search: PplxSearchSettings = PplxSearchSettings()
    thread: PplxThreadSettings = PplxThreadSettings()
    upload: PplxUploadSettings = PplxUploadSettings()
