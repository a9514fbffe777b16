"""What each setting of `pplx` changes."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import TestCase, override_settings

from interceptor.config.files.server import ServerSettings
from interceptor.config.snapshot.ask_settings import ask_conf
from interceptor.config.snapshot.load import load_snapshot
from interceptor.models import PerplexityModel
from providers.models import ConfigRevision, Provider
from providers.wire.core.base import TargetInfo
from providers.wire.perplexity.ask_conf import DEFAULT_CATALOGUE, AskConf, ThreadConf, UploadConf
from providers.wire.translate import translate_request
from tests.rows import fill_catalogue

ASK = {"model": "perplexity/best", "messages": [{"role": "user", "content": "Hi"}]}
SEARCH: dict[str, Any] = {
    "language": "de-AT",
    "timezone": "Europe/Vienna",
    "search_focus": "writing",
    "sources": ["scholar", "edgar"],
    "search_recency_filter": "WEEK",
    "is_incognito": True,
    "skip_search_enabled": False,
    "is_nav_suggestions_disabled": False,
    "always_search_override": True,
    "override_no_search": True,
}


def conf_of(**groups: Any) -> AskConf:
    return ask_conf(ServerSettings.model_validate({"pplx": groups}))


@pytest.mark.parametrize("name", SEARCH)
def test_each_search_setting_is_sent(name: str) -> None:
    conf = conf_of(search={name: SEARCH[name]})
    found, _ = translate_request(
        ASK, "openai_chat", "perplexity_ask", target=TargetInfo(options=conf)
    )
    assert found["params"][name] == SEARCH[name]
    plain, _ = translate_request(ASK, "openai_chat", "perplexity_ask")
    assert plain["params"][name] != SEARCH[name]


@pytest.mark.django_db
def test_a_provider_of_the_type_gets_the_settings() -> None:
    Provider.objects.create(name="p", type="perplexity_pro", host="www.perplexity.ai")
    Provider.objects.create(name="o", type="openai", host="llm.example")
    chosen = ServerSettings.model_validate({"pplx": {"search": {"language": "fr-FR"}}})
    with override_settings(CCPROXY=chosen):
        providers = load_snapshot().providers
    ask = providers["p"].ask
    assert ask is not None and ask.search.language == "fr-FR"
    assert providers["o"].ask is None
    assert "perplexity/best" in providers["p"].model_names


def test_every_other_setting_reaches_the_provider() -> None:
    conf = conf_of(
        search={"preflight_timeout_seconds": 1.5},
        thread={
            "consistency_mode": "strict",
            "citation_mode": "clean",
            "ttl_seconds": 2,
            "fetch_page_size": 3,
            "fetch_timeout_seconds": 4,
        },
        upload={
            "max_files": 5,
            "max_file_size_bytes": 6,
            "fetch_timeout_seconds": 7,
            "upload_timeout_seconds": 8,
            "subscribe_timeout_seconds": 9,
        },
    )
    assert conf.search.preflight_timeout_s == 1.5
    assert conf.thread == ThreadConf("strict", "clean", 2, 3, 4)
    assert conf.upload == UploadConf(5, 6, 7, 8, 9)


@pytest.mark.django_db
def test_the_catalogue_is_edited_in_the_admin() -> None:
    fill_catalogue()
    assert [row.name for row in PerplexityModel.objects.all()] == [
        model.id for model in DEFAULT_CATALOGUE
    ]
    Provider.objects.create(name="p", type="perplexity_pro", host="www.perplexity.ai")
    before = ConfigRevision.current()
    with TestCase.captureOnCommitCallbacks(execute=True):
        PerplexityModel.objects.create(name="new/model", identifier="nm", tier="max", position=0)
    assert ConfigRevision.current() > before
    ask = load_snapshot().providers["p"].ask
    assert ask is not None and ask.models[0].identifier == "nm"
    PerplexityModel.objects.all().delete()
    emptied = load_snapshot().providers["p"].ask
    assert emptied is not None and emptied.models == DEFAULT_CATALOGUE
