"""Settings `pplx` of the server as the conf of Perplexity providers. No Django."""

from __future__ import annotations

from interceptor.config.files.server import ServerSettings
from providers.wire.perplexity.ask_conf import (
    DEFAULT_CATALOGUE,
    AskConf,
    CatalogueModel,
    SearchConf,
    ThreadConf,
    UploadConf,
)


def ask_conf(
    settings: ServerSettings, models: tuple[CatalogueModel, ...] = DEFAULT_CATALOGUE
) -> AskConf:
    """Return what the settings say of every Perplexity provider, with the catalogue."""
    return AskConf(
        models=models,
        search=_search(settings),
        thread=ThreadConf(
            consistency_mode=settings.pplx.thread.consistency_mode,
            citation_mode=settings.pplx.thread.citation_mode,
            ttl_s=settings.pplx.thread.ttl_seconds,
            page_size=settings.pplx.thread.fetch_page_size,
            page_timeout_s=settings.pplx.thread.fetch_timeout_seconds,
        ),
        upload=UploadConf(
            max_files=settings.pplx.upload.max_files,
            max_file_bytes=settings.pplx.upload.max_file_size_bytes,
            fetch_timeout_s=settings.pplx.upload.fetch_timeout_seconds,
            upload_timeout_s=settings.pplx.upload.upload_timeout_seconds,
            subscribe_timeout_s=settings.pplx.upload.subscribe_timeout_seconds,
        ),
    )


def _search(settings: ServerSettings) -> SearchConf:
    return SearchConf(
        language=settings.pplx.search.language,
        timezone=settings.pplx.search.timezone,
        search_focus=settings.pplx.search.search_focus,
        sources=settings.pplx.search.sources,
        search_recency_filter=settings.pplx.search.search_recency_filter,
        is_incognito=settings.pplx.search.is_incognito,
        skip_search_enabled=settings.pplx.search.skip_search_enabled,
        is_nav_suggestions_disabled=settings.pplx.search.is_nav_suggestions_disabled,
        always_search_override=settings.pplx.search.always_search_override,
        override_no_search=settings.pplx.search.override_no_search,
        preflight_timeout_s=settings.pplx.search.preflight_timeout_seconds,
    )
