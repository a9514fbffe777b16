"""Exceptions of hooks and credentials as refusals."""

from __future__ import annotations

from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.refusal_table import Kind, kind_of_credential
from providers.base.errors import AuthConfigError, RefuseRequest


def refuse_for(state: FlowState, error: RefuseRequest) -> None:
    """End the request; a hook's own exception keeps the status that the hook chose."""
    if isinstance(error, AuthConfigError):
        state.refuse(kind_of_credential(error.status_code), str(error))
    else:
        state.refuse(Kind.BY_HOOK, str(error), status_code=error.status_code)
