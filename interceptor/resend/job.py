"""One request to send, complete in itself, so that another process can send it."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, field
from typing import Self

from providers.fields import keyring


@dataclass(frozen=True, slots=True)
class Job:
    """Where a request goes, its bytes, and the rows that tell what became of it."""

    ticket: str
    audit_id: int
    host: str
    port: int
    method: str
    target: str
    headers: list[tuple[str, str]] = field(repr=False)
    """All that are sent, with the grant's token; surrogates stand for bytes that are no UTF-8."""
    body: bytes = field(repr=False)

    def seal(self) -> str:
        """Return the job as a text that only holders of the key file can read.

        A broker keeps what it is given in clear, and the request holds prompts, a grant, and what
        the user typed into the editor.
        """
        values = asdict(self) | {"body": b64encode(self.body).decode()}
        return keyring().encrypt(json.dumps(values))

    @classmethod
    def unseal(cls, sealed: str) -> Self:
        """Return the job of a sealed text.

        Raises:
            ConfigError: it was sealed with another key file.
        """
        values = json.loads(keyring().decrypt(sealed))
        headers = [(name, value) for name, value in values.pop("headers")]
        return cls(**values | {"headers": headers, "body": b64decode(values["body"])})
