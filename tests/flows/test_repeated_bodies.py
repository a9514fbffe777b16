"""What is searched only where it differs from the body before comes out as if all of it had been searched."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flows.named_fields import MAX_VALUE_BYTES
from flows.needles import Needles
from flows.packing import REPEATED_FROM_BYTES, Packer
from flows.redact import Known, mark
from flows.shared import Shared, Stretch, shared
from tests.flows.agent_session import made_up
from tests.flows.test_redact import ENCODINGS, KEY, redactor

SHORT = "pa55word"
LONG = "eyJhbGciOiJSUzI1NiJ9." + "".join(random.Random(9).choices("abcdefghijkLMNOPQRST0123456789-_", k=900))
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
    """Pieces of two bodies: what both have, what only the one before has, what only the new one has."""
    pieces: list[tuple[int, bytes]] = []
    for _ in range(draw(st.integers(1, 6))):
        filling = b"".join(draw(st.lists(st.sampled_from(_FILLING), max_size=4)))
        pieces.append((draw(st.sampled_from((_KEPT, _KEPT, _KEPT, _CUT, _PUT))), filling))
        if draw(st.booleans()):
            pieces += _broken(draw(st.sampled_from(_FORMS)), draw(st.lists(st.integers(0, 1200), max_size=3)), draw)
    return pieces


def _broken(form: bytes, cuts: list[int], draw: st.DrawFn) -> list[tuple[int, bytes]]:
    """A secret in pieces: each was there before or is new, and something between them may be gone."""
    places = [0, *sorted({cut % len(form) for cut in cuts}), len(form)]
    pieces: list[tuple[int, bytes]] = []
    for start, end in pairwise(places):
        pieces.append((draw(st.sampled_from((_KEPT, _KEPT, _PUT))), form[start:end]))
        pieces.append((draw(st.sampled_from((_CUT, _PUT))), draw(st.sampled_from((b"", b"", b"~", b"\\", b'"')))))
    return pieces


def _bodies(pieces: list[tuple[int, bytes]]) -> tuple[bytes, Shared]:
    """The new body, and what it shares with the one before."""
    data, base, found = b"", b"", []
    for kind, piece in pieces:
        if kind == _KEPT and piece:
            found.append(Stretch(len(data), len(base), len(piece)))
        data += piece if kind != _CUT else b""
        base += piece if kind != _PUT else b""
    return data, Shared(base, len(data), tuple(found))


_ALONE, _SUBJECT = redactor(*SECRETS), redactor(*SECRETS)


def check(data: bytes, alike: Shared) -> bool:
    """Whether the earlier body told something."""
    before = _SUBJECT.body(alike.base)
    now = _SUBJECT.body(data, "", Known(before.bare_as_of, alike.seams()))
    _ALONE.body(alike.base)  # it may tell a token, which both have to know
    alone = _ALONE.body(data)
    assert replace(now, bare_as_of=0) == replace(alone, bare_as_of=0)
    assert (now.bare_as_of > 0) == (alone.bare_as_of > 0)
    return before.bare_as_of > 0


@given(_pieces())
@example([(_KEPT, b"sk-ant-oat01-Zq8"), (_CUT, b"~"), (_KEPT, b"vT3/x+L"), (_CUT, b"~"), (_KEPT, b"w0Rk5B")])
@example([(_KEPT, b'"password": "' + b"\\/" * (MAX_VALUE_BYTES - 9)), (_CUT, b" "), (_KEPT, b'secret12345"')])
@example([(_KEPT, b'"password"' + b" " * 99_000), (_PUT, b":"), (_KEPT, b" " * 99_000 + b'"secret12345"')])
@example([(_KEPT, b"{"), (_CUT, b'"token":'), (_KEPT, b'"password":"api_key":"secret12345"')])
@example([(_KEPT, b"pa55"), (_CUT, b"-"), (_KEPT, b"word")])
@settings(max_examples=1500, deadline=None)
def test_the_same_comes_out(pieces: list[tuple[int, bytes]]) -> None:
    data, alike = _bodies(pieces)
    check(data, alike)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_secret_whose_pieces_were_there_before_is_found(data: st.DataObject) -> None:
    """The body before has pieces that are too short to tell, so that it is bare."""
    form = ENCODINGS[data.draw(st.sampled_from(sorted(ENCODINGS)))](data.draw(st.sampled_from((KEY, SHORT))))
    step = data.draw(st.integers(1, 5))
    pieces = [(_KEPT, b"text " * data.draw(st.integers(0, 9)))]
    for start in range(0, len(form), step):
        pieces += [(_KEPT, form[start : start + step]), (_CUT, b"~~")]
    body, alike = _bodies([*pieces, (_KEPT, b" text" * data.draw(st.integers(0, 9)))])
    assert check(body, alike)
    assert _SUBJECT.body(body).redacted


_TEXT = json.dumps([made_up(120_000).take(1000) for _ in range(100)]).encode()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("at", [0, 50_000, 99_000])
def test_a_secret_across_the_border_of_what_is_new(encoding: str, at: int) -> None:
    form = ENCODINGS[encoding](KEY)
    for here in range(0, len(form), 5):
        packer = Packer(redactor(KEY))
        packer.store(_TEXT[:at] + form[: here % 7] + _TEXT[at:], "", lane="lane")
        after = form[here:] + _TEXT[at:]
        data = _TEXT[:at] + form[:here] + after
        stored = packer.store(data, "", lane="lane")
        assert stored.body == redactor(KEY).body(data)
        assert stored.body.redacted


def test_what_was_there_before_is_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    packer = Packer(redactor(KEY))
    packer.store(_TEXT, "", lane="lane")
    monkeypatch.setattr(Needles, "search", lambda self, data: pytest.fail("searched"))
    data = _TEXT[:-1] + b', {"password": "correct-horse"}]'
    stored = packer.store(data, "", lane="lane")
    assert stored.body.data == data.replace(b"correct-horse", mark("correct-horse").encode())
    assert stored.packed.encoding == "splice"


def test_all_is_searched_when_another_secret_is_known() -> None:
    subject = redactor(KEY)
    before = subject.body(_TEXT)
    secret = _TEXT[70_000:70_040].decode()
    known = Known(before.bare_as_of, shared(_TEXT + b" ", _TEXT).seams())
    assert not subject.body(_TEXT + b" ", "", known).redacted
    subject.learn((("x-api-key", secret),))
    body = subject.body(_TEXT + b" ", "", known)
    assert mark(secret).encode() in body.data
    assert not body.bare_as_of


def test_what_has_the_beginning_of_a_secret_is_not_bare() -> None:
    subject = redactor(KEY)
    assert subject.body(b"text").bare_as_of
    assert not subject.body(b"text " + KEY[13:24].encode()).bare_as_of
    assert not subject.body(b"text " + KEY.encode()).bare_as_of
    assert not subject.body(FIELD).bare_as_of


@pytest.mark.parametrize("end", range(REPEATED_FROM_BYTES - 2, REPEATED_FROM_BYTES + 3))
def test_lanes_of_bodies_that_become_large_enough_to_be_compared(end: int) -> None:
    packer = Packer(redactor(KEY))
    for size in (end - 1000, end, end + 1, end + 400):
        data = _TEXT[:size] + KEY[: size % 40].encode() + b'"]'
        stored = packer.store(data, "", lane="lane")
        assert stored.body == redactor(KEY).body(data)
        assert stored.packed.digest == packer.store(stored.body.data, "").packed.digest
