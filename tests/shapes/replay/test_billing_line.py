"""The billing line: where it stands, what is put in, with constants made up for these tests."""

from __future__ import annotations

import hashlib

import pytest
import xxhash

from shapes.replay.billing_line import (
    BillingConstants,
    body_digest,
    find_line,
    first_user_text,
    signed,
    unsigned,
    version_digits,
)

LINE = "x-anthropic-billing-header: cc_version=2.1.3.abc; cc_entrypoint=cli; cch=1a2b3;"
CONSTANTS = BillingConstants(salt=b"\x01\x02", seed=0xBEEF, positions=(4, 7, 200))


def body(*system: object, messages: object = ()) -> dict[str, object]:
    return {"system": list(system), "messages": list(messages) if messages == () else messages}


def test_the_line_is_found_among_the_blocks_of_the_system_prompt():
    assert find_line(body({"type": "text", "text": "hi"}, {"type": "text", "text": LINE})) == 1


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"system": LINE, "messages": []},
        body({"text": LINE}, messages="no list"),
        body({"text": "see " + LINE}),
        body({"text": LINE.replace("cch", "xxh")}),
        body({"text": LINE.replace(".abc", "")}),
        body({"text": LINE.replace("cc_entrypoint", "entry")}),
        body("text", None, {"text": 3}),
    ],
)
def test_another_body_has_no_line(value):
    assert find_line(value) is None


def test_the_version_is_kept_and_its_digits_are_about_the_sampled_characters():
    expected = hashlib.sha256(b"\x01\x02" + b"or02.1.3").hexdigest()[:3]
    assert version_digits("2.1.3", "Hello, World", CONSTANTS) != expected
    # Characters 4 and 7 of "Hello, World" are "o" and "W"; the third is missing.
    expected = hashlib.sha256(b"\x01\x02" + b"oW02.1.3").hexdigest()[:3]
    line = unsigned(LINE, "Hello, World", CONSTANTS)
    assert line == LINE.replace(".abc", f".{expected}").replace("1a2b3", "00000")
    assert signed(line, "fffff") == line.replace("00000", "fffff")


def test_the_digest_is_twenty_bits_of_a_seeded_hash_with_leading_zeros():
    for data in (b"", b"a", b"abc" * 100):
        value = xxhash.xxh64(data, seed=7).intdigest() & 0xFFFFF
        assert body_digest((data[:3], memoryview(data)[3:]), 7) == f"{value:05x}"


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([{"role": "user", "content": "Hi"}], "Hi"),
        ([{"role": "assistant", "content": "A"}, {"role": "user", "content": "Hi"}], "Hi"),
        ([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Hi"}]}], "Hi"),
        ([{"role": "user", "content": [{"text": ""}, {"text": "later"}]}], ""),
        ([{"role": "user", "content": None}, {"role": "user", "content": "x"}], ""),
        ("text", ""),
    ],
)
def test_the_first_user_text_counts_even_if_it_is_empty(messages, text):
    assert first_user_text({"messages": messages}) == text


def test_constants_are_not_shown():
    assert "beef" not in repr(CONSTANTS).lower()
    assert "x01" not in repr(CONSTANTS)
