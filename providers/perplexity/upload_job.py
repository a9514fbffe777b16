"""One upload, complete in itself, so that a task worker can do it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from providers.auth.resolve import Credential
from providers.perplexity.attachments import read_all
from providers.perplexity.site_calls import Site
from providers.perplexity.uploads import Progress, upload_all
from providers.provider_conf import ProviderConf
from providers.wire.perplexity.ask_conf import PERPLEXITY_TYPE, UploadConf


@dataclass(frozen=True, slots=True)
class UploadJob:
    """Where the files are and where they go, with the session that may bring them there."""

    provider: str
    scheme: str
    host: str
    port: int
    verify_tls: bool
    fingerprint_profile: str
    header: str
    value: str = field(repr=False)
    sources: tuple[str, ...] = field(repr=False)
    limits: UploadConf

    @classmethod
    def of(cls, site: Site, sources: list[str], limits: UploadConf) -> Self | None:
        """Return the job of a site; None without a session."""
        conf, credential = site.conf, site.credential
        if credential is None:
            return None
        return cls(
            conf.name,
            conf.scheme,
            conf.host,
            conf.effective_port,
            conf.verify_tls,
            conf.fingerprint_profile,
            credential.header,
            credential.value,
            tuple(sources),
            limits,
        )

    def as_values(self) -> dict[str, Any]:
        """Return the job as plain values; they hold the session."""
        return asdict(self)

    @classmethod
    def of_values(cls, values: dict[str, Any]) -> Self:
        """Return the job of plain values."""
        found = {**values, "limits": UploadConf(**values["limits"])}
        return cls(**{**found, "sources": tuple(values["sources"])})

    async def run(self, progress: Progress) -> list[str]:
        """Upload the files; return where they are now. Raises `RefuseRequest`."""
        conf = ProviderConf(
            self.provider,
            PERPLEXITY_TYPE,
            self.host,
            self.scheme,
            self.port,
            verify_tls=self.verify_tls,
            fingerprint_profile=self.fingerprint_profile,
        )
        site = Site(conf, Credential(self.header, self.value, self.value, "job"))
        files = await read_all(list(self.sources), self.limits)
        return await upload_all(site, files, self.limits, progress)
