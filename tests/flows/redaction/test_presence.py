"""What the quick test rules out, the complete search does not find either; and the other way."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from flows.redaction.json_fields import find_fields
from flows.redaction.presence import MAX_LITERALS, Presence
from flows.redaction.scanner import Scanner

KEY = "sk-ant-api03-Zq8vT3xLw0Rk5Bn7Yc2Md9Pf4"
REGISTERED = Scanner([KEY, "short-77"])
PRESENCE = Presence(REGISTERED)

pieces = st.sampled_from(
    [
        KEY.encode(),
        KEY[10:30].encode(),
        KEY.encode().hex().encode(),
        b"short-77",
        b"SHORT-77",
        b'"Api_Key": "',
        b'"api-key":"word word"',
        b'"api-key":12',
        b"api_key=",
        b"\xff\x00\n",
        b"words and words",
    ]
)


@given(st.lists(pieces | st.binary(max_size=12), max_size=6))
@settings(deadline=None)
def test_only_data_without_landmarks_and_fields_is_ruled_out(parts: list[bytes]) -> None:
    data = b"".join(parts)
    positions = REGISTERED.find_landmarks(data)
    # A field's name counts before its value is looked at.
    has_name = any(name in data.lower() for name in (b'"api_key": "', b'"api-key":"'))
    assert PRESENCE.is_ruled_out(data) == (not positions and not has_name)
    assert not (PRESENCE.is_ruled_out(data) and find_fields(data))


def test_nothing_is_ruled_out_for_very_many_secrets() -> None:
    many = Scanner(f"secret-{number}-and-{number * 7919}-so-on" for number in range(300))
    assert len(many.literals()) > MAX_LITERALS
    assert not Presence(many).is_ruled_out(b"nothing")
