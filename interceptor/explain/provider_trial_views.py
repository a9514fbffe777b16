"""The button “Test” of a provider: asks it, and says what came of it and what it cost."""

from __future__ import annotations

import asyncio
import os

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from flows.console.page_access import staff_page
from interceptor.config.snapshot.load import load_snapshot
from interceptor.explain.provider_trial import Verdict, ask_provider
from interceptor.pipeline.provider_clients import ProviderClients
from providers.audit.log import audited, caller_of
from providers.auth.registry import SECRETS
from providers.auth.resolve import CredentialResolver
from providers.base.upstream_proxy import choose_proxies
from providers.credentials.shared_state import DatabaseLogins
from providers.credentials.stored_logins import refresh_limits
from providers.fields import keyring
from providers.models import Provider
from providers.provider_conf import ProviderConf


@require_POST
@staff_page("providers.change_provider")
def provider_trial(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask one provider with its credential, and show the verdict on the board."""
    provider = get_object_or_404(Provider, pk=pk)
    conf = load_snapshot().providers.get(provider.name)
    if conf is None:
        messages.error(request, f"{provider.name} is disabled, so nothing was sent.")
        return redirect("admin:providers_auth_board")
    with audited("test", f"provider {provider.name}", by=caller_of(request)):
        verdict = asyncio.run(_ask(conf))
    show = messages.success if verdict.is_good else messages.error
    show(request, verdict.sentence)
    return redirect("admin:providers_auth_board")


async def _ask(conf: ProviderConf) -> Verdict:
    proxies, _ = choose_proxies(settings.CCPROXY.upstream_proxy, os.environ)
    resolver = CredentialResolver(
        open_keyring=keyring, secrets=SECRETS, shared=DatabaseLogins(), limits=refresh_limits()
    )
    ca_file = settings.CCPROXY.inspector.mitmproxy.ssl_verify_upstream_trusted_ca
    clients = ProviderClients(ca_file=ca_file, proxies=proxies)
    return await ask_provider(conf, resolver, clients)
