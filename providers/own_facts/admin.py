"""Admin of the operator's facts about models."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from providers.config_admin import ConfigModelAdmin
from providers.model_listing import shown
from providers.models import ModelFact
from providers.own_facts.fact_form import ModelFactForm
from providers.web.column import column
from providers.web.json_lines import shown_lines

_HINT: Final = (
    "State what differs from the table on the page Models. A blank field leaves it to the table."
)


@admin.register(ModelFact)
class ModelFactAdmin(ConfigModelAdmin):
    """The operator's facts about models."""

    form = ModelFactForm
    list_display = ["__str__", "shown_facts", "enabled", "position"]
    list_editable = ["enabled", "position"]
    search_fields = ["model", "host", "comment"]

    def get_fieldsets(
        self, request: HttpRequest, obj: ModelFact | None = None
    ) -> list[tuple[str | None, Any]]:
        budget = ("thinking_budget_from", "thinking_budget_to", "smallest_budget")
        return [
            (None, {"fields": ["model", "host", "enabled", "position"], "description": _HINT}),
            (
                "Parameters",
                {"fields": ["refuses", "refuses_while_reasoning", "ignores", "one_sampler"]},
            ),
            ("Thinking", {"fields": ["thinks", "thinking_off", "thinking", "efforts", budget]}),
            (
                "Tools",
                {"fields": ["forced_tools", "chat_tools", "custom_tools", "max_tools", "strict"]},
            ),
            ("Messages", {"fields": ["prefill", "system_in_conversation", "reads"]}),
            ("Limits", {"fields": [("max_output_tokens", "call_id_chars", "user_chars")]}),
            (
                "Fields of the host",
                {"fields": [("user_field", "seed_field"), "only_fields", "refused_fields"]},
            ),
            ("Where it is from", {"fields": ["vendor", "source", "comment"]}),
        ]

    @column("Facts")
    def shown_facts(self, row: ModelFact) -> SafeString | str:
        facts = row.facts.items()
        return shown_lines([f"{name.replace('_', ' ')}: {shown(value)}" for name, value in facts])
