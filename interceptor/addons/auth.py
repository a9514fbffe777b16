"""Renewal of an injected credential after a 401: get another one, send the request again, once.

The stream holds the 401 meanwhile (see `interceptor.mitm.attempts`), so the other addons see one
response only, and the client none of it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from time import perf_counter

from mitmproxy.http import HTTPFlow, Response

from flows.record import HookStep
from interceptor.config.snapshot.store import ConfigStore
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.mitm.attempts import Hold, SendAgain, attempts_of, hold, let_pass, send_again
from interceptor.pipeline.headers import Fields
from interceptor.pipeline.runner import as_record
from interceptor.request_path.leave import refusal_to_inject
from providers.auth.resolve import Credential, CredentialResolver, source_noun
from providers.base.errors import AuthConfigError
from providers.provider_conf import ProviderConf

HINT_HEADER = "x-ccproxy-hint"
MAX_HINT_CHARS = 500
_NAME = "auth"
_REASON = "401: credential refreshed and sent again"


def _is_unauthorized(response: Response) -> bool:
    return response.status_code == 401


_UNAUTHORIZED = Hold(by=_NAME, wanted=_is_unauthorized)


def is_signing(credential: Credential | None) -> bool:
    """Return whether a credential signs requests."""
    return credential is not None and credential.aws_keys is not None


class AuthAddon:
    """Holder of the 401 to a credential that the proxy injected.

    Stands after the record in the chain: its hint is put on what the client gets, not on what the
    provider sent.
    """

    def __init__(self, store: ConfigStore, resolver: CredentialResolver) -> None:
        self._store = store
        self._resolver = resolver

    def request(self, flow: HTTPFlow) -> None:
        """Ask for a 401 to our credential."""
        state = state_of(flow)
        if state is None or not state.credential_injected or flow.response is not None:
            return
        # What was signed is not sent again under another key.
        if state.exchange is None or not is_signing(state.exchange.credential):
            hold(flow, _UNAUTHORIZED)

    async def held(self, flow: HTTPFlow) -> None:
        """Refresh the credential, and send again when that gives another one."""
        state, attempts = state_of(flow), attempts_of(flow)
        if attempts is None or attempts.held is None or _NAME not in attempts.held.by:
            return
        if state is None or state.exchange is None or state.exchange.credential is None:
            return
        began, before = perf_counter(), flow.request.headers.fields
        try:
            credential = await self._another(state, state.exchange.credential)
            problem = "" if credential else _same_again(state)
        except AuthConfigError as exc:
            credential, problem = None, str(exc)
        if credential is None:
            let_pass(flow, problem)
            state.error = problem
            state.steps.append(
                HookStep(
                    stage="replay",
                    hook="auth",
                    outcome="error",
                    reason=f"401: {problem}",
                    prepare_ms=_ms(began),
                    started_ms=(began - state.began) * 1000,
                )
            )
            return
        after = with_credential(before, credential)
        if send_again(flow, SendAgain(by=_NAME, reason=_REASON, headers=after)):
            _note(state, before, after, began)
            state.exchange.credential = credential

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Put the reason on a 401 that passes; note a credential that the provider took."""
        state = state_of(flow)
        if flow.response is None or state is None or not state.credential_injected:
            return
        if flow.response.status_code != 401:
            if state.exchange is not None and state.exchange.credential is not None:
                self._resolver.logins.accept(state.exchange.credential.token)
            return
        attempts = attempts_of(flow)
        if attempts is not None and attempts.passed_because:
            flow.response.headers[HINT_HEADER] = header_text(attempts.passed_because)

    async def _another(self, state: FlowState, refused: Credential) -> Credential | None:
        ex = state.exchange
        if ex is None or ex.provider is None or ex.provider.auth is None or refusal_to_inject(ex):
            return None
        auth = self._newest(ex.provider).auth or ex.provider.auth
        credential = await self._resolver.refresh(ex.provider.name, auth, refused.token)
        # The request has its credential in the header of the first one.
        return credential if credential and credential.header == refused.header else None

    def _newest(self, provider: ProviderConf) -> ProviderConf:
        """Return the provider as it is configured now, if it has the same address.

        A flow keeps the configuration it began with, all but this: a new key is the user's answer
        to a 401.
        """
        now = self._store.current.providers.get(provider.name)
        return now if now and _address(now) == _address(provider) else provider


def _address(provider: ProviderConf) -> tuple[str, str, int, bool]:
    return provider.scheme, provider.host.lower(), provider.effective_port, provider.verify_tls


def with_credential(fields: Fields, credential: Credential) -> Fields:
    """Return the header fields with another credential's values, each at its old position.

    Companions are further headers of a credential; new ones come last:
    ((b"authorization", b"Bearer 1"),) → ((b"authorization", b"Bearer 2"), (b"x-account", b"a"))
    """
    values = {name.lower().encode(): value.encode() for name, value in credential.companions}
    values[credential.header.encode()] = credential.value.encode()
    changed = [(name, values.pop(name.lower(), value)) for name, value in fields]
    # What is left in `values` was not among the first credential's companions.
    for name, value in ((credential.header, credential.value), *credential.companions):
        if name.lower().encode() in values:
            changed.append((name.encode(), value.encode()))
    return tuple(changed)


def header_text(text: str) -> str:
    """Return a sentence as a header value: printable ASCII, of bounded length."""
    # Providers' sentences may have typographic characters; SDKs print ASCII alone.
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
    """Record the second attempt, and what was sent in it."""
    changed = tuple(
        f"header:{new[0].decode('utf-8', 'surrogateescape').lower()}"
        for new, old in zip_longest(after, before)
        if new is not None and new != old
    )
    state.steps.append(
        HookStep(
            stage="replay",
            hook="auth",
            outcome="ran",
            reason=_REASON,
            prepare_ms=_ms(began),
            started_ms=(began - state.began) * 1000,
            changed=changed,
            headers_before=as_record(before),
            headers_after=as_record(after),
        )
    )
    if state.forwarded is not None:
        state.forwarded = replace(state.forwarded, headers=as_record(after))


def _ms(began: float) -> float:
    return (perf_counter() - began) * 1000
