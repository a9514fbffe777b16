"""Key files that cannot be used are refused by their name, in one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from providers.base.errors import ConfigError
from providers.base.keyring import Keyring

KEY = "dGhpcyBpcyBhIHRlc3Qga2V5IG9mIDMyIGJ5dGVzISE=\n"


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        ("not a key\n", 0o600, "does not hold Fernet keys"),
        (KEY + "not a key\n", 0o600, "does not hold Fernet keys"),
        ("", 0o600, "is empty"),
        ("\n", 0o600, "is empty"),
        (KEY, 0o644, "run: chmod 600"),
        (KEY, 0o610, "run: chmod 600"),
    ],
)
def test_it_is_refused(tmp_path: Path, content: str, mode: int, says: str) -> None:
    path = tmp_path / "secret.key"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=re.escape(says)) as caught:
        Keyring.open(path)
    assert f"the key file {path}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_text() == content


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"cannot read the key file {tmp_path}"):
        tmp_path.chmod(0o700)
        Keyring.open(tmp_path)
