"""A rotation of the encryption key that is killed at each of its steps."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from django.core.management import call_command
from django.db import connections

from providers.base.keyring import Keyring
from providers.credentials.key_rotation import Rotation
from providers.models import CredentialState, Provider
from tests.rows import make_provider


@dataclass
class Bomb:
    """Kills this process the `at`-th time that it is passed."""

    at: int
    passed: int = 0

    def pass_by(self) -> None:
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1


def _rotate(path: Path, bomb: Bomb) -> None:
    fsync = os.fsync

    def guarded(descriptor: int) -> None:
        bomb.pass_by()
        fsync(descriptor)
        bomb.pass_by()

    # In the middle of writing the file.
    with mock.patch.object(os, "fsync", guarded):
        for _ in Rotation(path).run():
            bomb.pass_by()


def _run_killed(path: Path, at: int) -> bool:
    """Rotate in a process of its own; True where it was killed."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        _rotate(path, Bomb(at))
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def kill_at_every_step(key_file: str) -> list[tuple[list[str], int, str, bool]]:
    """Return what can be read after each run: (secrets, number of keys, file mode, killed)."""
    call_command("migrate", verbosity=0)
    make_provider("keyed", host="x.test", auth_type="key", secret="one")
    CredentialState.objects.create(key="a", tokens="two")
    path = Path(key_file)
    seen: list[tuple[list[str], int, str, bool]] = []
    killed = True
    while killed:
        killed = _run_killed(path, len(seen))
        keys = Keyring.open(path)
        stored = (Provider.objects.get().secret, CredentialState.objects.get().tokens)
        texts = [keys.decrypt(str(text)) for text in stored]
        seen.append((texts, keys.size, oct(path.stat().st_mode & 0o777), killed))
    return seen
