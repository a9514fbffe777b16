"""Admin: hooks, client tokens and the state of the running interceptors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from interceptor.access.client_token import fill_with_new_token
from interceptor.hook_form import HookSettingForm, form_for
from interceptor.hooks.table import describe_hook
from interceptor.instances.health import is_fresh
from interceptor.models import ClientToken, HookSetting, InterceptorStatus, PerplexityModel
from providers.audit.log import caller_of, record_audit
from providers.config_admin import ConfigModelAdmin, token_page
from providers.models import Provider
from providers.web.column import column
from providers.web.json_lines import json_lines

if TYPE_CHECKING:
    _TokenModelForm = forms.ModelForm[ClientToken]
else:
    _TokenModelForm = forms.ModelForm


STAGE_LABELS = {"inbound": "info", "outbound": "primary", "seal": "warning"}
"""Stage → color of its label."""


@admin.register(HookSetting)
class HookSettingAdmin(ConfigModelAdmin):
    """The pipeline's hooks, by stage and position."""

    form = HookSettingForm
    list_display = ["label", "stage_label", "params_text", "enabled", "position"]
    list_editable = ["enabled"]
    list_display_links = ["label"]
    list_filter = ["stage", "enabled"]
    search_fields = ["name"]
    ordering_field = "position"
    hide_ordering_field = True
    list_per_page = 500

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> type[forms.ModelForm[Any]]:
        if self.has_change_permission(request, obj):
            kw.setdefault("form", form_for(obj))
        form = super().get_form(request, obj, change, **kw)
        return type(form.__name__, (form,), {"user": request.user})

    @column("Hook", header=True, ordering="name")
    def label(self, setting: HookSetting) -> list[str]:
        return [setting.name, describe_hook(setting.name)]

    @column(
        "Stage",
        ordering="stage",
        label={"inbound": "info", "outbound": "primary", "seal": "warning"},
    )
    def stage_label(self, setting: HookSetting) -> str:
        return setting.stage

    @column("Parameters")
    def params_text(self, setting: HookSetting) -> SafeString | str:
        return json_lines(setting.params)


class ClientTokenForm(_TokenModelForm):
    """A client token; the providers that it may use are ticked."""

    providers = forms.MultipleChoiceField(
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Those it may use. A new token without any may use all.",
    )

    class Meta:
        model = ClientToken
        fields = ["name", "enabled", "providers"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = list(Provider.objects.order_by("name").values_list("name", flat=True))
        # A provider may have gone since, or be named before it is made.
        gone = [(name, f"{name} (no such provider)") for name in self.instance.providers]
        choices = [(name, name) for name in names]
        choices += [choice for choice in gone if choice[0] not in names]
        cast(forms.MultipleChoiceField, self.fields["providers"]).choices = choices


@admin.register(ClientToken)
class ClientTokenAdmin(ConfigModelAdmin):
    """Keys of clients; the clear text is shown once, when it is made."""

    form = ClientTokenForm
    list_display = ["name", "enabled", "shown_providers", "created_at"]
    list_editable = ["enabled"]
    fields = ["name", "enabled", "providers"]
    search_fields = ["name"]

    @column("Providers")
    def shown_providers(self, token: ClientToken) -> str:
        return ", ".join(token.providers) or "all"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            record_audit(
                "client-token-add", f"token {obj.name}", by=caller_of(request), outcome="done"
            )
            request.__dict__["ccproxy_new_token"] = fill_with_new_token(obj)
        super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: ClientToken) -> None:
        record_audit(
            "client-token-remove", f"token {obj.name}", by=caller_of(request), outcome="done"
        )
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            record_audit(
                "client-token-remove", f"token {row.name}", by=caller_of(request), outcome="done"
            )
        super().delete_queryset(request, queryset)

    def response_add(
        self, request: HttpRequest, obj: ClientToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"Client token “{obj.name}”",
            "token": request.__dict__.pop("ccproxy_new_token"),
            "header": "x-ccproxy-token:",
            "opts": self.opts,
        }
        return token_page(request, context)


@admin.register(PerplexityModel)
class PerplexityModelAdmin(ConfigModelAdmin):
    """Models of Perplexity accounts; without any, those of a new installation hold."""

    list_display = ["name", "identifier", "mode", "tier", "position"]
    list_display_links = ["name"]
    list_filter = ["mode", "tier"]
    search_fields = ["name", "identifier"]


@admin.register(InterceptorStatus)
class InterceptorStatusAdmin(ModelAdmin):
    """Heartbeats, read only."""

    list_display = [
        "instance",
        "state",
        "revision",
        "active_flows",
        "queue_depth",
        "dropped",
        "last_seen",
    ]
    list_display_links = ["instance"]
    ordering = ["-heartbeat_at"]
    fields = [
        "instance",
        "version",
        "state",
        "started_at",
        "heartbeat_at",
        "revision",
        "refused_revision",
        "refusal",
        "shown_restart",
        "shown_endpoints",
        "active_flows",
        "queue_depth",
        "bodies_dropped",
        "records_dropped",
        "writer_error",
        "shown_cooldowns",
        "shown_measures",
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @column("State", label={"running": "success", "not running": "danger"})
    def state(self, status: InterceptorStatus) -> str:
        return "running" if is_fresh(status) else "not running"

    @column("Restart needed for")
    def shown_restart(self, status: InterceptorStatus) -> SafeString | str:
        return json_lines(status.restart_needed)

    @column("Endpoints")
    def shown_endpoints(self, status: InterceptorStatus) -> SafeString | str:
        return json_lines(status.endpoints)

    @column("Skipped in chains of fallbacks")
    def shown_cooldowns(self, status: InterceptorStatus) -> SafeString | str:
        return json_lines(status.cooldowns)

    @column("Measures of the recorder")
    def shown_measures(self, status: InterceptorStatus) -> SafeString | str:
        lines: list[str] = []
        for name, labels, value in status.measures:
            words = [name, *(f"{label} {text}" for label, text in labels.items())]
            lines.append(f"{', '.join(words)}: {value}")
        return json_lines(lines)

    @column("Dropped (bodies, records)")
    def dropped(self, status: InterceptorStatus) -> str:
        return f"{status.bodies_dropped}, {status.records_dropped}"

    @column("Last seen", ordering="heartbeat_at")
    def last_seen(self, status: InterceptorStatus) -> str:
        age_s = (timezone.now() - status.heartbeat_at).total_seconds()
        return "just now" if age_s < 60 else f"{timesince(status.heartbeat_at, depth=1)} ago"
