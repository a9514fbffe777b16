"""The form of the list shows the filters of the address, so that applying it again keeps them."""

from __future__ import annotations

import re

import pytest

from flows.console.flow_list.filter_form import FlowListFilter
from flows.models import Flow

pytestmark = pytest.mark.django_db
YES_OR_NO = ("stream", "error", "lossy", "pinned", "unshaped", "candidate")


def _chosen(name: str, address: dict[str, str]) -> list[str]:
    form = FlowListFilter(address, queryset=Flow.objects.all()).form
    return re.findall(r'<option value="([^"]*)" selected', str(form[name]))


@pytest.mark.parametrize("name", YES_OR_NO)
def test_filters_of_yes_or_no_show_their_value(name: str) -> None:
    assert [_chosen(name, {name: value}) for value in ("true", "false")] == [["true"], ["false"]]
    assert _chosen(name, {}) in ([], [""])


def test_other_choices_show_their_value() -> None:
    assert _chosen("status", {"status": "4xx"}) == ["4xx"]
    assert _chosen("provider", {"provider": "of-old"}) == ["of-old"]
