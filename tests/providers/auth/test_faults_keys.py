"""Keys that no header can carry: refused where they are entered and where they are read."""

from __future__ import annotations

import asyncio
import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.auth.base import CommandAuth, FileAuth
from providers.auth.registry import SecretRegistry
from providers.auth.resolve import CredentialResolver
from providers.base.errors import AuthConfigError
from providers.base.header_key import BadKey, check_key, decode_key, trimmed_key
from providers.base.keyring import Keyring

KEY = "FILEKEY-0123456789"
ENDS = st.text("\ufeff\u200b \t\r\n\xa0", max_size=5)
KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)


@given(before=ENDS, key=KEYS, after=ENDS)
def test_what_surrounds_a_key_is_taken_off(before: str, key: str, after: str) -> None:
    assert trimmed_key(before + key + after) == key
    check_key(key)


@given(st.text(min_size=1))
def test_a_key_that_passes_is_a_header_value(text: str) -> None:
    key = trimmed_key(text)
    try:
        check_key(key)
    except BadKey as exc:
        assert any(not " " <= c <= "~" for c in key)
        assert f"character {1 + next(i for i, c in enumerate(key) if not ' ' <= c <= '~')}" in str(
            exc
        )
    else:
        assert key.isascii() and (key.isprintable() or not key)


@given(key=KEYS, encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_files_of_every_editor_are_read(key: str, encoding: str) -> None:
    assert trimmed_key(decode_key(f"{key}\r\n".encode(encoding))) == key


def _resolve(auth: FileAuth | CommandAuth, folder: Path) -> str:
    resolver = CredentialResolver(
        open_keyring=lambda: Keyring.open(folder / "secret.key"), secrets=SecretRegistry()
    )
    credential = asyncio.run(resolver.resolve("corp", auth))
    assert credential is not None
    return credential.token


@pytest.mark.parametrize("bom", [b"", codecs.BOM_UTF8])
def test_a_key_file_with_a_byte_order_mark(tmp_path: Path, bom: bytes) -> None:
    path = tmp_path / "key.txt"
    path.write_bytes(bom + KEY.encode() + b"\r\n")
    assert _resolve(FileAuth(file=str(path)), tmp_path) == KEY
    assert _resolve(CommandAuth(command=f"cat {path}"), tmp_path) == KEY


@pytest.mark.parametrize(
    "content", ["KÉY-0123456789", "KEY-1\nKEY-2", "KEY\x01-0123456", "KEY\x7f-0123456"]
)
def test_a_bad_key_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.txt"
    path.write_bytes(content.encode("utf-8"))
    with pytest.raises(AuthConfigError) as refused:
        _resolve(FileAuth(file=str(path)), tmp_path)
    assert str(path) in str(refused.value) and "KEY-" not in str(refused.value)
    path.write_bytes(content.encode("latin-1") + b"\xff")
    with pytest.raises(AuthConfigError, match=r"key\.txt"):
        _resolve(FileAuth(file=str(path)), tmp_path)
