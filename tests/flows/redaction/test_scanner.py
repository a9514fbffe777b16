"""The quick look for landmarks must never hide a piece that the slow comparison finds."""

from __future__ import annotations

import random
import string

import pytest

from flows.redaction.scanner import FRAGMENT_BYTES, LONG_BYTES, Needles

_CHARS = string.ascii_letters + string.digits + "-_"


@pytest.mark.parametrize("length", [11, 14, 16, 40, 100, 300, LONG_BYTES + 8, 2000])
@pytest.mark.parametrize("prefix", ["", "sk-ant-api03-"])
def test_every_piece_that_counts_has_a_landmark(length: int, prefix: str) -> None:
    dice = random.Random(length)
    needles = Needles([prefix + "".join(dice.choices(_CHARS, k=length))])
    pieces = 0
    for form in needles._forms:
        least = 43 if len(form.data) > LONG_BYTES else form.least_bytes
        for start in range(form.private_from, len(form.data) - least + 1):
            piece = form.data[start : start + least]
            found = needles.hits(b"x" * dice.randrange(8) + piece + b"~~~~~~~~")
            assert [hit.end - hit.start >= least for hit in found] == [True], (start, form)
            pieces += 1
    assert pieces


def test_a_piece_that_begins_in_the_public_part_is_found() -> None:
    secret = "sk-ant-api03-" + "Qz7" * 20
    assert Needles([secret]).hits(b"text api03-" + b"Qz7" * 4 + b" text")


def test_text_without_secrets_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    needles = Needles(["kL93" * (FRAGMENT_BYTES // 2)])
    monkeypatch.setattr(needles, "_candidates", lambda data, parts: pytest.fail("compared"))
    assert needles.hits(b"The quick brown fox, 93 of them. " * 1000) == []
