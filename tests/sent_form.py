"""A form as a browser sends it back when nobody has changed it."""

from __future__ import annotations

from typing import Any

from django.forms import BaseForm
from django.http import QueryDict


def sent_by_a_browser(form: BaseForm) -> QueryDict:
    """Return the values of the form's fields; a box that is not ticked sends nothing."""
    data = QueryDict(mutable=True)
    for bound in form:
        value: Any = bound.value()
        if isinstance(value, list):
            data.setlist(bound.name, value)
        elif value is not None and value is not False:
            data[bound.name] = "on" if value is True else value
    return data
