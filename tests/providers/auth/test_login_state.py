"""A login's state crosses to another process as JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from providers.auth.refresh_lock import LoginState

TIMES = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
STATES = st.builds(
    LoginState,
    tokens=st.text(),
    current=st.text(),
    ancestors=st.lists(st.text()).map(tuple),
    machine=st.text(),
    refreshed_at=TIMES,
    expires_at=TIMES,
    failures=st.integers(min_value=0),
    not_before=TIMES,
    refused=st.text(),
    error=st.text(),
    tried_at=TIMES,
)


@given(STATES)
def test_it_comes_back_as_it_was(state: LoginState) -> None:
    crossed = LoginState.of_values(json.loads(json.dumps(state.as_values())))
    assert crossed == state
    # Equal values of another type would not find their ancestors.
    assert isinstance(crossed.ancestors, tuple)


def test_every_field_crosses() -> None:
    assert LoginState().as_values().keys() == LoginState.__dataclass_fields__.keys()
