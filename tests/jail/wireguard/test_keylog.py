"""The key log: who can read it, what is in it, when it starts anew."""

from __future__ import annotations

import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from interceptor.operate.keylog import append_rotated
from jail.wireguard.keylog import handshake_lines, handshake_logger
from jail.wireguard.noise import Handshake, Keys, initiate
from jail.wireguard.peer import decode_key
from tests.patience import PATIENCE_S


def handshake() -> Handshake:
    peer = X25519PrivateKey.generate().public_key().public_bytes_raw()
    return initiate(Keys.from_raw(os.urandom(32), peer))


def test_it_has_the_keys_that_decrypt() -> None:
    made = handshake()
    names, values = zip(
        *(line.split(" = ") for line in handshake_lines(made).splitlines()), strict=True
    )
    assert names == (
        "LOCAL_STATIC_PRIVATE_KEY",
        "REMOTE_STATIC_PUBLIC_KEY",
        "LOCAL_EPHEMERAL_PRIVATE_KEY",
    )
    static, peer, ephemeral = map(decode_key, values)
    assert (
        X25519PrivateKey.from_private_bytes(static).public_key().public_bytes_raw()
        == made.keys.public
    )
    assert peer == made.keys.peer_public
    assert (
        X25519PrivateKey.from_private_bytes(ephemeral).public_key().public_bytes_raw()
        == made.message[8:40]
    )


def test_its_owner_alone_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "wg.keylog"
    path.touch(0o644)
    before = os.umask(0)
    try:
        handshake_logger(path)(handshake())
        handshake_logger(tmp_path / "new")(handshake())
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_a_full_log_is_put_aside_once(tmp_path: Path) -> None:
    path = tmp_path / "wg.keylog"
    for number in range(7):
        append_rotated(path, f"line {number}\n", max_bytes=16)
    assert path.read_text() == "line 6\n"
    assert (tmp_path / "wg.keylog.1").read_text() == "line 4\nline 5\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_link_is_not_followed_and_nothing_is_raised(tmp_path: Path) -> None:
    (tmp_path / "wg.keylog").symlink_to(tmp_path / "elsewhere")
    handshake_logger(tmp_path / "wg.keylog")(handshake())
    handshake_logger(tmp_path / "no" / "directory")(handshake())
    assert not (tmp_path / "elsewhere").exists()


def test_jails_do_not_lose_each_others_lines(tmp_path: Path) -> None:
    """Threads stand for jails: the lock belongs to an open file, not to a process."""
    path = tmp_path / "wg.keylog"

    def write(who: int) -> None:
        for number in range(200):
            append_rotated(path, f"{who} {number}\n", max_bytes=2500)

    with ThreadPoolExecutor(3) as jails:
        list(jails.map(write, range(3)))
    lines = [
        line
        for name in ("wg.keylog.1", "wg.keylog")
        for line in (tmp_path / name).read_text().splitlines()
    ]
    assert len(lines) == len(set(lines)) == 600
    for who in range(3):
        assert [line for line in lines if line.startswith(f"{who} ")] == [
            f"{who} {number}" for number in range(200)
        ]


def test_a_jail_waits_for_another_to_finish(tmp_path: Path) -> None:
    path = tmp_path / "wg.keylog"
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        waiting = threading.Thread(target=append_rotated, args=(path, "second\n"))
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()
        other.write("first\n")
    waiting.join(PATIENCE_S)
    assert path.read_text() == "first\nsecond\n"
