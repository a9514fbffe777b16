"""Turns a provider's credential source into the header that goes upstream: cached briefly, one read
at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from providers.auth.aws.access_keys import AwsKeys, read_aws_keys
from providers.auth.base import AuthConf, FileAuth, OAuthAuth
from providers.auth.logins import OAuthLogins, RefreshLimits
from providers.auth.refresh_lock import SharedLogins
from providers.auth.registry import SecretRegistry
from providers.auth.sources import SOURCES, SourceContext, SourceFailed
from providers.base.errors import AuthConfigError
from providers.base.header_key import BadKey, check_key, trimmed_key
from providers.base.keyring import Keyring

logger = logging.getLogger(__name__)

DEFAULT_HEADER = "authorization"
FAILURE_TTL_S = 1.0

_NOUNS = {"command": "credential command", "file": "credential file", "key": "stored key"}


def _how(result: Credential | AuthConfigError | None) -> str:
    if isinstance(result, Credential):
        return f"yields {len(result.token)} characters for {result.header}"
    return "yields nothing" if result is not None else "was not read to its end"


def signs_for_aws(auth: AuthConf) -> bool:
    """Return whether a source yields an access key of AWS."""
    return not isinstance(auth, OAuthAuth) and auth.is_aws_key


def source_noun(source: str) -> str:
    """Return the noun for a kind of source, for sentences."""
    return _NOUNS.get(source, "login" if source.endswith("_oauth") else source)


def _where(auth: AuthConf) -> str:
    """Return the path of a credential file, for sentences; a command may hold secrets."""
    return f" ({auth.file})" if isinstance(auth, FileAuth) else ""


@dataclass(frozen=True)
class Credential:
    """A resolved credential, ready to be put on a request."""

    header: str
    """Lower case."""
    value: str = field(repr=False)
    """The header's whole value, with "Bearer " when the header is authorization."""
    token: str = field(repr=False)
    source: str
    """The kind of source it came from: command, file, key, anthropic_oauth, ..."""
    companions: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Further headers that belong to it."""
    expires_at: float | None = None
    """Seconds since the epoch, None when unknown."""
    aws_keys: AwsKeys | None = field(default=None, repr=False)
    """What signs the request; it has no value of its own then."""


class _Entry:
    """One resolution, running or done."""

    task: asyncio.Task[Credential | AuthConfigError]
    expires_at: float | None = None
    """By the resolver's clock; None while it runs."""

    def is_expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def _status_of(failure: SourceFailed) -> int:
    # The client cannot be let in, and trying again changes nothing: SDKs repeat a 502.
    if failure.is_missing:
        return 401
    return 503 if failure.is_passing else 502


class CredentialResolver:
    """Resolves credentials on one event loop.

    Callers who ask for the same source while it is read share that one read; a caller who goes away
    does not end it.
    """

    def __init__(
        self,
        *,
        open_keyring: Callable[[], Keyring],
        secrets: SecretRegistry,
        command_timeout_s: float = 5.0,
        cache_ttl_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        shared: SharedLogins | None = None,
        limits: RefreshLimits | None = None,
    ) -> None:
        self.command_timeout_s = command_timeout_s
        """Limit of one command or file read; may be changed at any time."""
        self._open_keyring = open_keyring
        self._secrets = secrets
        self._cache_ttl_s = cache_ttl_s
        self._clock = clock
        self._entries: dict[tuple[str, AuthConf], _Entry] = {}
        self.logins = OAuthLogins(
            secrets=secrets,
            decrypt=lambda text: open_keyring().decrypt(text),
            shared=shared,
            limits=limits,
        )

    def decrypt(self, ciphertext: str) -> str:
        """Return the clear text of a stored constant, which no request holds.

        Raises:
            ConfigError: the key file cannot be used.
        """
        return self._open_keyring().decrypt(ciphertext)

    async def resolve(self, provider: str, auth: AuthConf) -> Credential:
        """Return the credential of a provider.

        Raises:
            AuthConfigError: the source failed (502), or the credential is unset (401); the
            message names provider, kind of source and fix, no secret.
        """
        key = (provider, auth)
        entry = self._entries.get(key)
        if entry is None or entry.is_expired(self._clock()):
            entry = self._start(key)
        result = await asyncio.shield(entry.task)
        if isinstance(result, AuthConfigError):
            raise AuthConfigError(str(result), status_code=result.status_code)
        return result

    async def refresh(
        self, provider: str, auth: AuthConf, rejected_token: str
    ) -> Credential | None:
        """Return another credential than the one that the provider refused, or None.

        A login is renewed, unless another process has renewed it; other sources are read again.

        Raises:
            AuthConfigError: (502) the source failed; the message names provider, kind of source and
            fix, no secret.
        """
        if isinstance(auth, OAuthAuth):
            credential = await self._renewed(provider, auth, rejected_token)
        else:
            self._drop(provider, auth, rejected_token)
            credential = await self.resolve(provider, auth)
        return credential if credential.token != rejected_token else None

    async def _renewed(self, provider: str, auth: OAuthAuth, rejected_token: str) -> Credential:
        try:
            login = await self.logins.replace(auth, rejected_token)
            credential = self._credential(auth, login.access, login.companions, login.expires_at)
        except SourceFailed as exc:
            raise AuthConfigError(f"The login of provider “{provider}” {exc}.") from None
        self._drop(provider, auth, rejected_token)
        return credential

    def _drop(self, provider: str, auth: AuthConf, rejected_token: str) -> None:
        """Forget what was read, if it is the refused token; a read that is under way is newer and
        stays.
        """
        entry = self._entries.get((provider, auth))
        if entry is None or not entry.task.done() or entry.task.cancelled():
            return
        result = entry.task.result()
        if isinstance(result, Credential) and result.token == rejected_token:
            del self._entries[provider, auth]

    def forget(self, provider: str) -> None:
        """Read the provider's source anew on the next request."""
        for key in [key for key in self._entries if key[0] == provider]:
            del self._entries[key]

    def _start(self, key: tuple[str, AuthConf]) -> _Entry:
        now = self._clock()
        # Keys of sources that were edited away are asked for by no request: remove them here.
        expired = [old for old, entry in self._entries.items() if entry.is_expired(now)]
        for old in expired:
            del self._entries[old]
        entry = self._entries[key] = _Entry()
        entry.task = asyncio.create_task(self._run(entry, *key), name=f"credential of {key[0]}")
        return entry

    async def _run(
        self, entry: _Entry, provider: str, auth: AuthConf
    ) -> Credential | AuthConfigError:
        # Failures are a result too: an exception would be reported as lost when every caller has
        # gone.
        result: Credential | AuthConfigError | None = None
        try:
            result = await self._read(provider, auth)
        except SourceFailed as exc:
            result = AuthConfigError(
                f"The {source_noun(auth.type)} of provider “{provider}”{_where(auth)} {exc}.",
                status_code=_status_of(exc),
            )
        except Exception as exc:
            result = AuthConfigError(
                f"The {source_noun(auth.type)} of provider “{provider}” failed"
                f" ({type(exc).__name__}); check the provider's settings."
            )
        finally:
            logger.debug("%s: the %s %s", provider, source_noun(auth.type), _how(result))
            entry.expires_at = self._clock() + self._ttl_s(result)
        return result

    def _ttl_s(self, result: Credential | AuthConfigError | None) -> float:
        # A read that was cancelled has no result, and is done again by the next request.
        if result is None:
            return 0
        return self._cache_ttl_s if isinstance(result, Credential) else FAILURE_TTL_S

    async def _read(self, provider: str, auth: AuthConf) -> Credential:
        if isinstance(auth, OAuthAuth):
            login = await self.logins.access(auth)
            return self._credential(auth, login.access, login.companions, login.expires_at)
        context = SourceContext(self._open_keyring, self.command_timeout_s, provider)
        return self._credential(auth, await SOURCES[auth.type](auth, context))

    def _credential(
        self,
        auth: AuthConf,
        text: str,
        companions: tuple[tuple[str, str], ...] = (),
        expires_at: float | None = None,
    ) -> Credential:
        # People copy a cookie with its name or without it.
        token = trimmed_key(text).removeprefix(auth.prefix)
        if signs_for_aws(auth):
            return self._signing_credential(auth, token)
        self._secrets.add(token)
        _check_token(token)
        header = auth.header.lower() or DEFAULT_HEADER
        value = f"Bearer {token}" if header == DEFAULT_HEADER else f"{auth.prefix}{token}"
        return Credential(header, value, token, auth.type, companions, expires_at)

    def _signing_credential(self, auth: AuthConf, text: str) -> Credential:
        """Return a credential that signs: its header has nothing to send until it did."""
        keys = read_aws_keys(text)
        for secret in (keys.secret_access_key, keys.session_token):
            self._secrets.add(secret)
        return Credential(
            DEFAULT_HEADER,
            "",
            keys.secret_access_key,
            auth.type,
            expires_at=keys.expires_at,
            aws_keys=keys,
        )


def _check_token(token: str) -> None:
    """Raise SourceFailed for a text that must not become a header."""
    if not token:
        raise SourceFailed("is empty; it has to yield the token")
    try:
        check_key(token)
    except BadKey as exc:
        raise SourceFailed(str(exc)) from None
