"""Exception tree of the request path.

CcproxyError
├── ConfigError            configuration is refused (loud, at configure time)
│   └── RuleError          a transform rule cannot be used
├── RefuseRequest          ends the one request it belongs to, with a status and a sentence
│   └── AuthConfigError    a credential is missing or unknown
├── TranslationError       a body cannot be expressed in the other wire format
│   ├── MalformedBody      a client's body does not follow its own wire format
│   ├── UnsupportedByTarget
│   ├── BadUpstreamAnswer
│   └── BadUpstreamStream
└── UpstreamError          the provider could not be reached or answered garbage
"""

from __future__ import annotations


class CcproxyError(Exception):
    """Base of all errors that this product raises on purpose."""


class ConfigError(CcproxyError):
    """The configuration cannot be used. The message names the key and the fix."""


class RefuseRequest(CcproxyError):
    """A request must not go on; hooks raise it.

    The client receives `status_code` and the message, as an error in its own wire format.
    """

    def __init__(self, message: str, *, status_code: int = 400) -> None:
        super().__init__(message)
        self.status_code = status_code


class AuthConfigError(RefuseRequest, ConfigError):
    """A credential cannot be injected.

    401 for an unknown provider or an unset key, 502 for a failed source, 503 if it
    may work in a moment.
    """

    def __init__(self, message: str, *, status_code: int = 502) -> None:
        super().__init__(message, status_code=status_code)


class RuleError(ConfigError):
    """A transform rule cannot be used."""


class TranslationError(CcproxyError):
    """A body cannot be expressed in the other wire format."""


class MalformedBody(TranslationError):
    """A body does not follow its own wire format. The message names the position.

    The client's fault: 400.
    """


class UnsupportedByTarget(TranslationError):
    """The target wire format cannot express something that the request requires."""


class BadUpstreamAnswer(TranslationError):
    """The provider's response does not follow its own wire format: 502."""


class BadUpstreamStream(TranslationError):
    """The provider's stream does not follow its own wire format."""


class UpstreamError(CcproxyError):
    """The provider could not be reached, or sent garbage."""
