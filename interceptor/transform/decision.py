"""The fate of one request, as routing decides it."""

from __future__ import annotations

from interceptor.config.snapshot.schema import RuleConf
from providers.base.names import WireFormatName
from providers.base.value import value
from providers.provider_conf import ProviderConf


@value
class Decision:
    """The fate of a request, and the reason in one sentence.

    A refusal has a status and no destination.
    """

    action: str
    route: str
    rule: RuleConf | None = None
    provider: ProviderConf | None = None
    scheme: str = "https"
    host: str = ""
    port: int = 443
    path: str = ""
    model: str = ""
    """The model to ask for instead; "" leaves the client's."""
    provider_format: WireFormatName | None = None
    client_path: str = ""
    """The client's own path, for a translation: Google names the model and the action in it."""
    counting: bool = False
    """A translated request for a token count."""
    status_code: int = 0
    """Not 0: the proxy responds itself with this status, and `route` is the message."""
