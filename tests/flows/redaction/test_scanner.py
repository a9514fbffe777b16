"""The quick look for landmarks must never hide a piece that the slow comparison finds."""

from __future__ import annotations

import random
import string

import pytest

from flows.redaction.scanner import Scanner
from flows.redaction.secret_forms import FRAGMENT_BYTES, LONG_BYTES

SOME = 60
_CHARS = string.ascii_letters + string.digits + "-_"


def starts(first: int, end: int, dice: random.Random) -> list[int]:
    """Return the starts of pieces: all of a short secret, of a long one both ends and some."""
    every = range(first, end)
    if len(every) <= 3 * SOME:
        return list(every)
    return [*every[:SOME], *sorted(dice.sample(every[SOME:-SOME], SOME)), *every[-SOME:]]


@pytest.mark.parametrize("length", [11, 14, 16, 40, 100, 300, LONG_BYTES + 8, 1000])
@pytest.mark.parametrize("prefix", ["", "sk-ant-api03-"])
def test_every_piece_that_counts_has_a_landmark(length: int, prefix: str) -> None:
    dice = random.Random(length)
    scanner = Scanner([prefix + "".join(dice.choices(_CHARS, k=length))])
    pieces = 0
    for form in scanner.forms:
        least = form.min_fragment_bytes
        if len(form.data) > LONG_BYTES:
            least = max(least, 43)
        for start in starts(form.private_from, len(form.data) - least + 1, dice):
            piece = form.data[start : start + least]
            found = scanner.hits(b"x" * dice.randrange(8) + piece + b"~~~~~~~~")
            assert [hit.end - hit.start >= least for hit in found] == [True], (start, form)
            pieces += 1
    assert pieces


def test_a_piece_that_begins_in_the_public_part_is_found() -> None:
    secret = "sk-ant-api03-" + "Qz7" * 20
    assert Scanner([secret]).hits(b"text api03-" + b"Qz7" * 4 + b" text")


def test_text_without_secrets_is_not_compared() -> None:
    secret = "kL93" * (FRAGMENT_BYTES // 2)
    scanner = Scanner([secret])
    text = b"The quick brown fox, 93 of them. " * 1000
    assert scanner.find_landmarks(text) == []
    # Data is compared only around landmarks: without them not even the secret itself is found.
    assert scanner.hits(text + secret.encode(), []) == []
    assert scanner.hits(text + secret.encode())


def test_many_secrets_do_not_exhaust_the_matcher(capfd: pytest.CaptureFixture[str]) -> None:
    """RE2 falls back to a slow matcher, and says so on stderr, when it lacks memory."""
    dice = random.Random(7)
    secrets = ["sk-ant-api03-" + "".join(dice.choices(_CHARS, k=90)) for _ in range(500)]
    scanner = Scanner(secrets)
    data = b"text " * 9000 + secrets[250].encode() + b" text" * 9000
    assert [hit.secret for hit in scanner.hits(data)] == [secrets[250]]
    assert "out of memory" not in capfd.readouterr().err
