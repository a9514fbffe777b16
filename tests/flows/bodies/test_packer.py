"""What is searched only where it differs from the body before comes out as if all of it had been
searched.
"""

from __future__ import annotations

import json
import random
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flows.bodies.packer import Packer
from flows.bodies.recent_bodies import Predecessor, Predecessors
from flows.bytes.digest import resumable_digest
from flows.bytes.matching import Block, Matching, match_bodies
from flows.redaction import json_fields
from flows.redaction.incremental_search import REUSE_FROM_BYTES, EarlierSearch
from flows.redaction.json_fields import MAX_VALUE_BYTES, Field
from flows.redaction.redactor import RedactedBody, mark
from flows.redaction.scanner import MAX_LANDMARKS, Scanner
from tests.flows.agent_session import made_up
from tests.flows.redaction.test_redactor import ENCODINGS, KEY, redactor

SHORT = "pa55word"
LONG = "eyJhbGciOiJSUzI1NiJ9." + "".join(
    random.Random(9).choices("abcdefghijkLMNOPQRST0123456789-_", k=900)
)
FIELD = b'"client_secret" :\t "Bearer Vq7-canary-4f1c9d20b7a6"'
SECRETS = (KEY, SHORT, LONG)

_FILLING = (
    b"The file says so. ",
    b'{"role": "user", "content": "',
    b"\\" * 3,
    b'"',
    b'\\n\\"',
    b" " * 700,
    b"x" * 40,
    b'"token":"password":"api_key":"',
    b'": "',
    b'"api_key"',
    b"a1" * 20,
    b"9",
)
_KEPT, _CUT, _PUT = range(3)
_FORMS = [ENCODINGS[name](secret) for name in sorted(ENCODINGS) for secret in SECRETS] + [FIELD]


@st.composite
def _pieces(draw: st.DrawFn) -> list[tuple[int, bytes]]:
    """Pieces of two bodies: what both have, what only the one before has, what only the new one
    has.
    """
    pieces: list[tuple[int, bytes]] = []
    for _ in range(draw(st.integers(1, 6))):
        filling = b"".join(draw(st.lists(st.sampled_from(_FILLING), max_size=4)))
        pieces.append((draw(st.sampled_from((_KEPT, _KEPT, _KEPT, _CUT, _PUT))), filling))
        if draw(st.booleans()):
            pieces += _broken(
                draw(st.sampled_from(_FORMS)),
                draw(st.lists(st.integers(0, 1200), max_size=3)),
                draw,
            )
    return pieces


def _broken(form: bytes, cuts: list[int], draw: st.DrawFn) -> list[tuple[int, bytes]]:
    """A secret in pieces: each was there before or is new, and something between them may be
    gone.
    """
    places = [0, *sorted({cut % len(form) for cut in cuts}), len(form)]
    pieces: list[tuple[int, bytes]] = []
    for start, end in pairwise(places):
        pieces.append((draw(st.sampled_from((_KEPT, _KEPT, _PUT))), form[start:end]))
        pieces.append(
            (
                draw(st.sampled_from((_CUT, _PUT))),
                draw(st.sampled_from((b"", b"", b"~", b"\\", b'"'))),
            )
        )
    return pieces


def _bodies(pieces: list[tuple[int, bytes]]) -> tuple[bytes, Matching]:
    """The new body, and what it shares with the one before."""
    data, base, found = b"", b"", []
    for kind, piece in pieces:
        if kind == _KEPT and piece:
            found.append(Block(len(data), len(base), len(piece)))
        data += piece if kind != _CUT else b""
        base += piece if kind != _PUT else b""
    return data, Matching(base, len(data), tuple(found))


# Results of small bodies are reused too, which makes the examples short.
_ALONE = redactor(*SECRETS, reuse_from_bytes=0)
_SUBJECT = redactor(*SECRETS, reuse_from_bytes=0)


def check(data: bytes, alike: Matching) -> RedactedBody:
    """The body before, of which something is known."""
    before = _SUBJECT.body(alike.base)
    _ALONE.body(alike.base)  # it may tell a token, which both have to know
    assert before.search is not None
    now, alone = _SUBJECT.body(data, "", EarlierSearch(before.search, alike)), _ALONE.body(data)
    assert now == alone
    assert now.search is not None
    assert alone.search is not None
    assert (now.search.landmarks, now.search.fields) == (
        alone.search.landmarks,
        alone.search.fields,
    )
    return before


@given(_pieces())
@example(
    [
        (_KEPT, b"sk-ant-oat01-Zq8"),
        (_CUT, b"~"),
        (_KEPT, b"vT3/x+L"),
        (_CUT, b"~"),
        (_KEPT, b"w0Rk5B"),
    ]
)
@example(
    [
        (_KEPT, b'"password": "' + b"\\/" * (MAX_VALUE_BYTES - 9)),
        (_CUT, b" "),
        (_KEPT, b'secret12345"'),
    ]
)
@example(
    [
        (_KEPT, b'"password"' + b" " * 99_000),
        (_PUT, b":"),
        (_KEPT, b" " * 99_000 + b'"secret12345"'),
    ]
)
@example([(_KEPT, b"{"), (_CUT, b'"token":'), (_KEPT, b'"password":"api_key":"secret12345"')])
@example(
    [(_KEPT, b'"token": "' + b'\\"' * 90 + b"abcdefghijkl"), (_PUT, b"12345678"), (_KEPT, b'"')]
)
@example(
    [
        (_KEPT, b'\\"' * 70 + b'"token": "' + b'\\"' * 60 + b"abcdefghijkl"),
        (_PUT, b"12345678"),
        (_KEPT, b'"'),
    ]
)
@example([(_KEPT, b'"token": \\"'), (_CUT, b"~"), (_KEPT, b'"abcdefghijkl12345678"')])
@example([(_KEPT, b"pa55"), (_CUT, b"-"), (_KEPT, b"word")])
def test_the_same_comes_out(pieces: list[tuple[int, bytes]]) -> None:
    data, alike = _bodies(pieces)
    check(data, alike)


@given(st.data())
def test_a_secret_whose_pieces_were_there_before_is_found(data: st.DataObject) -> None:
    """The body before has pieces that are too short to tell."""
    form = ENCODINGS[data.draw(st.sampled_from(sorted(ENCODINGS)))](
        data.draw(st.sampled_from((KEY, SHORT)))
    )
    step = data.draw(st.integers(1, 5))
    pieces = [(_KEPT, b"text " * data.draw(st.integers(0, 9)))]
    for start in range(0, len(form), step):
        pieces += [(_KEPT, form[start : start + step]), (_CUT, b"~~")]
    body, alike = _bodies([*pieces, (_KEPT, b" text" * data.draw(st.integers(0, 9)))])
    assert not check(body, alike).redacted
    assert _SUBJECT.body(body).redacted


_TEXTS = made_up(120_000)
_TEXT = json.dumps([_TEXTS.take(1000) for _ in range(100)]).encode()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("at", [0, 50_000, 99_000])
def test_a_secret_across_the_border_of_what_is_new(encoding: str, at: int) -> None:
    form = ENCODINGS[encoding](KEY)
    for here in range(0, len(form), 5):
        packer = Packer(redactor(KEY))
        packer.store(_TEXT[:at] + form[: here % 7] + _TEXT[at:], "", chain="chain")
        after = form[here:] + _TEXT[at:]
        data = _TEXT[:at] + form[:here] + after
        stored = packer.store(data, "", chain="chain")
        assert stored.body == redactor(KEY).body(data)
        assert stored.body.redacted


def test_what_was_there_before_is_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    packer = Packer(redactor(KEY))
    packer.store(_TEXT, "", chain="chain")
    looked_at = 0
    landmarks, fields = Scanner.find_landmarks, json_fields.find_fields

    def counted_landmarks(
        self: Scanner, data: bytes, start: int = 0, end: int | None = None
    ) -> list[int]:
        nonlocal looked_at
        looked_at += (len(data) if end is None else end) - start
        return landmarks(self, data, start, end)

    def counted_fields(data: bytes, start: int = 0, end: int | None = None) -> list[Field]:
        nonlocal looked_at
        looked_at += (len(data) if end is None else end) - start
        return fields(data, start, end)

    monkeypatch.setattr(Scanner, "find_landmarks", counted_landmarks)
    monkeypatch.setattr(json_fields, "find_fields", counted_fields)
    data = _TEXT[:-1] + b', {"password": "correct-horse"}]'
    stored = packer.store(data, "", chain="chain")
    assert stored.body.data == data.replace(b"correct-horse", mark("correct-horse").encode())
    assert stored.packed.encoding == "splice"
    assert 0 < looked_at < 500


def test_secrets_that_were_there_before_are_cut_out_again() -> None:
    packer = Packer(redactor(KEY))
    data = _TEXT[:-1] + b', "' + KEY.encode() + b'", {"password": "correct-horse"}' + _TEXT[1:]
    for number in range(4):
        stored = packer.store(data, "", chain="chain")
        assert stored.body == redactor(KEY).body(data)
        assert len(stored.body.edits) == 2
        assert stored.packed.encoding == ("splice" if number else "zstd")
        data = b"[%d, " % number + data[1:-1] + b", 1]"


def test_all_is_searched_when_another_secret_is_known() -> None:
    subject = redactor(KEY)
    # Learned because it looks like a key; it stands in the part that was searched before.
    secret = "own-a1b2c3d4e5f6g7h8-key"
    text = _TEXT[:70_000] + secret.encode() + _TEXT[70_000:]
    searched = subject.body(text).search
    assert searched is not None
    known = EarlierSearch(searched, match_bodies(text + b" ", text))
    assert not subject.body(text + b" ", "", known).redacted
    subject.learn((("x-api-key", secret),))
    assert mark(secret).encode() in subject.body(text + b" ", "", known).data


@pytest.mark.parametrize("many", [KEY[13:21].encode() * (MAX_LANDMARKS + 1), FIELD * 501])
def test_nothing_is_taken_over_from_a_body_with_too_many_places(many: bytes) -> None:
    packer = Packer(redactor(KEY))
    for end in (b"1", b"2" + KEY.encode()):
        stored = packer.store(_TEXT + many + end, "", chain="chain")
        assert stored.body.search is None
        assert stored.body == redactor(KEY).body(_TEXT + many + end)


@pytest.mark.parametrize("end", range(REUSE_FROM_BYTES - 2, REUSE_FROM_BYTES + 3))
def test_chains_of_bodies_that_become_large_enough_to_be_compared(end: int) -> None:
    packer = Packer(redactor(KEY))
    for size in (end - 1000, end, end + 1, end + 400):
        data = _TEXT[:size] + KEY[: size % 40].encode() + b'"]'
        stored = packer.store(data, "", chain="chain")
        assert stored.body == redactor(KEY).body(data)
        assert stored.packed.digest == packer.store(stored.body.data, "").packed.digest


def test_a_chain_that_changes_its_base_is_compared_with_its_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """First alone, then as a variant of the client's side, whose bytes it shares."""
    packer = Packer(redactor(KEY))
    packer.store(_TEXT, "", chain="forwarded")
    compared: list[bytes] = []

    def watched(data: bytes, base: bytes) -> Matching:
        compared.append(base)
        return match_bodies(data, base)

    monkeypatch.setattr("flows.bodies.packer.match_bodies", watched)
    forwarded = _TEXT
    for number in range(3):
        client = packer.store(forwarded[:-1] + b', "turn %d"]' % number, "", chain="client")
        before, forwarded = forwarded, client.body.data + b" "
        assert (
            packer.store(forwarded, "", variants=[client], chain="forwarded").packed.base
            is client.packed
        )
        assert compared[-1] is before


def test_predecessors_not_used_for_the_longest_time_are_forgotten() -> None:
    packer = Packer(redactor(KEY))
    first = packer.store(_TEXT, "", chain=0)
    predecessor = Predecessor(first, resumable_digest(_TEXT))
    assert len(_TEXT) < predecessor.held_bytes < 1.1 * len(_TEXT)
    predecessors = Predecessors(max_bytes=3 * len(_TEXT))
    for chain in range(3):
        predecessors.put(chain, predecessor)
        assert predecessors.get(0) is predecessor
    assert [predecessors.get(chain) for chain in range(3)] == [predecessor, None, predecessor]
    redacted = packer.store(_TEXT + KEY.encode(), "")
    assert Predecessor(redacted, resumable_digest(_TEXT)).held_bytes > 2 * len(_TEXT), (
        "what came is held too"
    )
