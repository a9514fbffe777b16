"""Page of a rule trial: the recorded flows that an edited rule would send elsewhere.

Nothing is saved, nothing is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from flows.bodies.complete_flow import load_flows
from flows.console.page_access import staff_page
from flows.models import Flow
from flows.queries.rights import RIGHTS
from flows.queries.selectors import rows
from interceptor.explain.rule_trial import MAX_FLOWS, Moved, try_rule
from providers.base.errors import CcproxyError
from providers.forms import RULE_LABELS
from providers.models import TransformRule

DEFAULT_FLOWS: Final = 200

if TYPE_CHECKING:
    _RuleModelForm = forms.ModelForm[TransformRule]
else:
    _RuleModelForm = forms.ModelForm


class TrialForm(_RuleModelForm):
    """The fields of a rule, named as in the admin's form, whose button posts them here."""

    last = forms.IntegerField(
        min_value=1, max_value=MAX_FLOWS, required=False, label="How many of the newest flows"
    )

    class Meta:
        model = TransformRule
        fields = [
            "name", "enabled", "position", "match_host", "match_path", "match_model", "action",
            "dest_provider",
            "dest_model", "dest_host", "dest_path", "dest_vertex_project", "dest_vertex_location",
        ]  # fmt: skip
        labels = RULE_LABELS


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(*RIGHTS["try-rule"])
def rule_trial_page(request: HttpRequest) -> HttpResponse:
    """Show a rule (`?id=N`, or a new one) as a form, and then the flows that would go elsewhere."""
    rule = _rule(request.GET.get("id", ""))
    title = str(rule) if rule else "a new rule"
    form = TrialForm(request.POST or None, instance=rule, initial={"last": DEFAULT_FLOWS})
    context: dict[str, Any] = {"form": form, "rule": rule, "title": title, "max_flows": MAX_FLOWS}
    if request.method == "POST" and form.is_valid():
        try:
            context |= _tried(form.instance, form.cleaned_data["last"] or DEFAULT_FLOWS)
        except CcproxyError as exc:
            context["error"] = str(exc)
    return render(request, "interceptor/rule_trial.html", context)


def _rule(text: str) -> TransformRule | None:
    if not text:
        return None
    known = text.isascii() and text.isdigit() and len(text) <= 18
    rule: TransformRule | None = (
        TransformRule.objects.filter(pk=int(text)).first() if known else None
    )
    if rule is None:
        raise Http404("There is no such rule.")
    return rule


def _tried(edited: TransformRule, last: int) -> dict[str, Any]:
    ids = list(Flow.objects.order_by("-started_at", "-id").values_list("pk", flat=True)[:last])
    trial = try_rule(edited, load_flows(ids))
    shown = rows(Flow.objects.filter(pk__in=[moved.flow_id for moved in trial.moved])).in_bulk()
    moved = [
        (shown[found.flow_id], found, _differences(found))
        for found in trial.moved
        if found.flow_id in shown
    ]
    return {"trial": trial, "moved": moved}


def _differences(found: Moved) -> list[tuple[str, Any, Any]]:
    """Return (what, before, after) of the differences, the target and the model first."""
    names = ("url", "model", "provider", "rule", "action", "problem")
    return [
        (name, found.before[name], found.after[name])
        for name in names
        if found.before[name] != found.after[name]
    ]
