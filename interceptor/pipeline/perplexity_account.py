"""A Perplexity account as hooks see it: its site, its uploads, and the threads it remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from providers.auth.resolve import Credential
    from providers.perplexity.site_calls import Site
    from providers.perplexity.threads import ThreadIds
    from providers.provider_conf import ProviderConf
    from providers.wire.perplexity.ask_conf import UploadConf


class RemembersThreads(Protocol):
    """Memory of the threads that conversations have at Perplexity, by a digest of their texts."""

    async def recall(self, key: str) -> ThreadIds | None:
        """Return and forget the thread of a conversation: no other request gets it too."""

    async def remember(self, key: str, ids: ThreadIds, ttl_s: float) -> None:
        """Keep the thread of a conversation."""


class UploadsElsewhere(Protocol):
    """Task workers that upload files."""

    async def start(self, job: dict[str, Any]) -> str:
        """Hand a job over and return the task's id; "" where no worker takes it."""

    async def state(self, task: str) -> dict[str, Any]:
        """Return `beat` with `done` and `total`, `urls`, or `failed` with `status`; {}: nothing."""


class UsesPerplexity(Protocol):
    """Calls beside the ask."""

    def site(self, conf: ProviderConf, credential: Credential | None) -> Site:
        """Return the site as an account sees it."""

    async def upload(
        self, flow_id: str, site: Site, sources: list[str], limits: UploadConf
    ) -> list[str]:
        """Upload the files behind addresses; return where they are now.

        Raises:
            RefuseRequest: it was not possible; the message is for the client.
        """

    async def recall(self, key: str) -> ThreadIds | None:
        """See `RemembersThreads`. Never raises."""

    def remember(self, key: str, ids: ThreadIds, ttl_s: float) -> None:
        """Keep a thread for the next request of its conversation. Never waits."""
