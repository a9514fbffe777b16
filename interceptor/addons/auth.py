"""A 401 to a credential that was injected: get another one, send the request again, once.

The layer below holds the 401 back meanwhile (see `interceptor.mitm.second_try`), so the other
addons see one answer only, and the client none of it.
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from mitmproxy.http import HTTPFlow

from flows.record import HookStep
from interceptor.config.snapshot.store import ConfigStore
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.mitm.second_try import hold_unauthorized, send_again
from interceptor.pipeline.headers import Fields
from interceptor.pipeline.runner import as_record
from interceptor.request_path.leave import refusal_to_inject
from providers.auth.resolve import Credential, CredentialResolver, source_noun
from providers.base.errors import AuthConfigError
from providers.provider_conf import ProviderConf

HINT_HEADER = "x-ccproxy-hint"
_HINT_KEY = "ccproxy_hint"
MAX_HINT_CHARS = 500


class AuthAddon:
    """Stands after the record in the chain: its hint is put on what the client gets, not on what
    the provider sent.
    """

    def __init__(self, store: ConfigStore, resolver: CredentialResolver) -> None:
        self._store = store
        self._resolver = resolver

    def request(self, flow: HTTPFlow) -> None:
        """Have a 401 to our credential held back."""
        state = state_of(flow)
        if state is not None and state.credential_injected and flow.response is None:
            hold_unauthorized(flow)

    async def unauthorized(self, flow: HTTPFlow) -> None:
        """Refresh, and send again when that gives another credential."""
        state = state_of(flow)
        if state is None or state.exchange is None or state.exchange.credential is None:
            return
        began, before = perf_counter(), flow.request.headers.fields
        try:
            credential = await self._another(state, state.exchange.credential)
            problem = "" if credential else _same_again(state)
        except AuthConfigError as exc:
            credential, problem = None, str(exc)
        if credential is None:
            flow.metadata[_HINT_KEY] = problem
            state.error = problem
            state.steps.append(HookStep("replay", "auth", "error", f"401: {problem}", _ms(began)))
            return
        flow.request.headers.fields = with_credential(before, credential)
        _note(state, before, flow.request.headers.fields, began)
        state.exchange.credential = credential
        state.sent_again_ms = state.ms()
        send_again(flow)

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Say why a 401 came through; note a credential that was taken."""
        state, hint = state_of(flow), flow.metadata.pop(_HINT_KEY, "")
        if flow.response is None or state is None or not state.credential_injected:
            return
        if flow.response.status_code != 401:
            if state.exchange is not None and state.exchange.credential is not None:
                self._resolver.logins.accept(state.exchange.credential.token)
        elif hint:
            flow.response.headers[HINT_HEADER] = header_text(hint)

    async def _another(self, state: FlowState, refused: Credential) -> Credential | None:
        ex = state.exchange
        if ex is None or ex.provider is None or ex.provider.auth is None or refusal_to_inject(ex):
            return None
        auth = self._newest(ex.provider).auth or ex.provider.auth
        credential = await self._resolver.refresh(ex.provider.name, auth, refused.token)
        return credential if credential and credential.header == refused.header else None

    def _newest(self, provider: ProviderConf) -> ProviderConf:
        """The provider as it is configured now, if it is the same place: its key may have been
        replaced meanwhile.
        """
        now = self._store.current.providers.get(provider.name)
        return now if now and _place(now) == _place(provider) else provider


def _place(provider: ProviderConf) -> tuple[str, str, int, bool]:
    return provider.scheme, provider.host.lower(), provider.effective_port, provider.verify_tls


def with_credential(fields: Fields, credential: Credential) -> Fields:
    """The header fields with another credential's values, each where it stood; new companions come
    last.
    """
    values = {name.lower().encode(): value.encode() for name, value in credential.companions}
    values[credential.header.encode()] = credential.value.encode()
    changed = tuple((name, values.pop(name.lower(), value)) for name, value in fields)
    spelled = {name.lower(): name for name, _ in credential.companions}
    return changed + tuple(
        (spelled.get(name.decode(), name.decode()).encode(), value)
        for name, value in values.items()
    )


def header_text(text: str) -> str:
    """A sentence as a header value: printable ASCII, of bounded length."""
    plain = text.translate({0x201C: '"', 0x201D: '"', 0x2013: "-", 0x2026: "..."})
    return "".join(c if " " <= c <= "~" else "?" for c in plain)[:MAX_HINT_CHARS]


def _same_again(state: FlowState) -> str:
    ex = state.exchange
    name = ex.provider.name if ex and ex.provider else ""
    noun = source_noun(ex.credential.source if ex and ex.credential else "")
    return (
        f"The provider refused the credential of “{name}”, and its {noun} holds no other;"
        " replace it."
    )


def _note(state: FlowState, before: Fields, after: Fields, began: float) -> None:
    """Record the second try, and what was sent in it."""
    changed = tuple(
        f"header:{new[0].decode('utf-8', 'surrogateescape').lower()}"
        for new, old in zip(after, (*before, *((b"", b"") for _ in after)), strict=False)
        if new != old
    )
    state.steps.append(
        HookStep(
            stage="replay",
            hook="auth",
            outcome="ran",
            reason="401: credential refreshed and sent again",
            prepare_ms=_ms(began),
            changed=changed,
            headers_before=as_record(before),
            headers_after=as_record(after),
        )
    )
    if state.forwarded is not None:
        state.forwarded = replace(state.forwarded, headers=as_record(after))


def _ms(began: float) -> float:
    return (perf_counter() - began) * 1000
