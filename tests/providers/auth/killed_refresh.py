"""A refresh of a login that ends its process at a step.

`python -m tests.providers.auth.killed_refresh SETTINGS STEP REJECTED`; SETTINGS are JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any
from unittest import mock

from providers.auth import oauth_file, renewal
from providers.auth.oauth_kinds import oauth_auth
from providers.auth.registry import SecretRegistry
from providers.auth.resolve import CredentialResolver
from providers.base.keyring import Keyring


def die(*_: object) -> None:
    os._exit(9)


def no_keyring() -> Keyring:
    raise AssertionError("a login in a file needs no key")


def main(settings: str, step: str, rejected: str) -> None:
    commit = oauth_file.Replacement.commit

    def commit_and_die(*arguments: Any) -> None:
        commit(*arguments)
        die()

    commits = {"before write": die, "after write": commit_and_die}
    resolver = CredentialResolver(open_keyring=no_keyring, secrets=SecretRegistry())
    auth = oauth_auth("anthropic_oauth", json.loads(settings))
    with (
        mock.patch.object(renewal, "SETTLE_S", 0),
        mock.patch.object(oauth_file.Replacement, "commit", commits.get(step, commit)),
    ):
        asyncio.run(resolver.refresh("claude", auth, rejected))


if __name__ == "__main__":
    main(*sys.argv[1:])
