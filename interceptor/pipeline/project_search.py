"""Search for the project of a Code Assist account, as hooks see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from providers.auth.resolve import Credential
    from providers.provider_conf import ProviderConf


@dataclass(frozen=True, slots=True)
class ProjectSearch:
    """Limits and permissions of a search."""

    timeout_s: float = 10.0
    """Longest time that a request waits for a search."""
    onboard: bool = False
    """Register an account that has no project yet."""
    tier: str = ""
    """The tier to register for; "" takes the account's default."""


class FindsProjects(Protocol):
    """Finds the project of a provider's account and remembers it."""

    async def find(
        self, provider: ProviderConf, credential: Credential, search: ProjectSearch
    ) -> str:
        """Return the project's id; "" where none is known yet. Never raises."""

    def doubt(self, provider: ProviderConf) -> None:
        """Search again at the next request, because the provider refused this one."""
