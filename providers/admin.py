"""Admin of providers and transform rules."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from providers.audit import admin as audit_admin  # noqa: F401
from providers.audit.log import audit_credential, caller_of
from providers.config_admin import ConfigModelAdmin
from providers.credentials import actions, board, reveal

# Registered by being imported: Django looks for `admin` modules at the top of an app only.
from providers.credentials.credential_states import unset_variable
from providers.forms import ProviderForm, RuleForm
from providers.listing.rule_listing import conditions_of, rule_hits, transform_proposal
from providers.models import Provider, TransformRule
from providers.own_facts import admin as fact_admin  # noqa: F401
from providers.presets.preset_table import Preset, presets
from providers.prices import admin as price_admin  # noqa: F401
from providers.services import may_set_code, sentinel_keys
from providers.web.column import column
from providers.web.login_fields import LOGIN_FIELDS
from providers.web.retry_fields import RETRY_FIELDS

if TYPE_CHECKING:
    from django.forms import ModelForm

UNKNOWN = "–"


@admin.register(Provider)
class ProviderAdmin(ConfigModelAdmin):
    """Admin of providers, the destinations of requests."""

    form = ProviderForm
    list_display = ["name_and_type", "destination", "credential", "enabled"]
    list_editable = ["enabled"]
    list_filter = ["enabled", "type", "auth_type"]
    search_fields = ["name", "host"]
    readonly_fields = ["sentinels", "secret_state", "secret_link"]
    change_form_before_template = "admin/provider_presets.html"
    conditional_fields = {
        "new_secret": "auth_type == 'key' || auth_type.endsWith('_oauth')",
        "forget_secret": "auth_type == 'key' || auth_type.endsWith('_oauth')",
        "secret_state": "auth_type == 'key' || auth_type.endsWith('_oauth')",
        "secret_link": "auth_type == 'key' || auth_type.endsWith('_oauth')",
        **dict.fromkeys(LOGIN_FIELDS, "auth_type.endsWith('_oauth')"),
        "auth_command": "auth_type == 'command'",
        "auth_file": "auth_type == 'file'",
        "auth_header": "auth_type != 'none'",
    }

    def get_fieldsets(
        self, request: HttpRequest, obj: Provider | None = None
    ) -> list[tuple[str | None, Any]]:
        credential = [
            "auth_type",
            "secret_state",
            "new_secret",
            "auth_command",
            "auth_file",
            *LOGIN_FIELDS,
            "auth_header",
        ]
        if obj and obj.secret:
            credential.insert(3, "forget_secret")
            if request.user.has_perm(reveal.PERMISSION):
                credential[1] = "secret_link"
        where: list[Any] = [("scheme", "host", "port"), "path", "verify_tls", "headers"]
        if obj and obj.auth_type != "none" and request.user.is_superuser:
            where.insert(2, "own_password")
        return [
            (None, {"fields": ["name", "enabled", *(["sentinels"] if obj else [])]}),
            ("Where", {"fields": where}),
            (
                "Wire family",
                {"fields": ["type", "native_formats", "model_names", "fingerprint_profile"]},
            ),
            ("In translated requests", {"fields": ["server_tools"]}),
            ("When it fails", {"fields": [*RETRY_FIELDS, "fallbacks", "cooldown_seconds"]}),
            ("Credential", {"fields": credential, "description": _code_hint(request)}),
        ]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        own = [
            path("auth-board/", view(board.board), name="providers_auth_board"),
            path(
                "auth-board/<int:pk>/test/",
                view(actions.test_source),
                name="providers_auth_test",
            ),
            path(
                "auth-board/<int:pk>/renew/",
                view(actions.renew_login),
                name="providers_auth_renew",
            ),
            path("<int:pk>/reveal/", view(reveal.reveal), name="providers_reveal"),
        ]
        return [*own, *super().get_urls()]

    @property
    def known_presets(self) -> list[Preset]:
        """The presets that the page for a new provider offers."""
        return list(presets().values())

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return the first values of a new provider: those of the preset in the address."""
        chosen = presets().get(request.GET.get("preset", ""))
        values = super().get_changeform_initial_data(request)
        return values if chosen is None else chosen.form_values()

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> type[ModelForm[Any]]:
        form = super().get_form(request, obj, change, **kw)
        return type(form.__name__, (form,), {"user": request.user})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        audit_credential(Provider.objects.filter(pk=obj.pk).first(), obj, by=caller_of(request))
        super().save_model(request, obj, form, change)

    @column("Name", header=True, ordering="name")
    def name_and_type(self, provider: Provider) -> list[str]:
        return [provider.name, provider.get_type_display()]

    @column("Where", ordering="host")
    def destination(self, provider: Provider) -> SafeString:
        port = f":{provider.port}" if provider.port else ""
        return format_html(
            '<span class="cc-mono">{}://{}{}{}</span>',
            provider.scheme,
            provider.host,
            port,
            provider.path,
        )

    @column("Credential", label={"missing": "danger", "none": "info", "set": "success"})
    def credential(self, provider: Provider) -> tuple[str, str]:
        if provider.auth_type == "none":
            return "none", "none"
        if provider.auth_type == "key":
            return ("set", "key stored") if provider.secret else ("missing", "key not set")
        if name := unset_variable(provider, os.environ):
            return "missing", f"{name} not set"
        return "set", provider.auth_type

    @column("Stored secret")
    def secret_state(self, provider: Provider) -> str:
        return "stored" if provider.secret else "not set"

    @column("Stored secret")
    def secret_link(self, provider: Provider) -> SafeString:
        address = reverse("admin:providers_reveal", args=[provider.pk])
        return format_html('stored – <a class="cc-link" href="{}">show it</a>', address)

    @column("Sentinel keys")
    def sentinels(self, provider: Provider) -> SafeString:
        keys = format_html_join(
            "", '<code class="cc-copy">{}</code>', ((key,) for key in sentinel_keys(provider.name))
        )
        hint = "Give one of these to a client in place of the real key. One click selects it."
        return format_html(
            '<span class="cc-keys">{}</span><span class="cc-hint">{}</span>', keys, hint
        )


def _code_hint(request: HttpRequest) -> str:
    text = "Only one source is used. Nothing here shows a secret."
    return (
        text
        if may_set_code(request.user)
        else f"{text} Commands and files are set with ccproxy importconfig."
    )


@admin.register(TransformRule)
class RuleAdmin(ConfigModelAdmin):
    """Admin of transform rules, which override sentinel routing, in the order they are tried."""

    form = RuleForm
    list_display = ["title", "conditions", "outcome", "matches", "enabled", "position"]
    list_editable = ["enabled"]
    list_display_links = ["title"]
    list_select_related = ["dest_provider"]
    change_form_before_template = "admin/rule_trial_button.html"
    ordering_field = "position"
    hide_ordering_field = True
    list_per_page = 500
    search_fields = ["name", "match_host", "match_path", "match_model", "comment"]
    fieldsets = [
        (None, {"fields": ["name", "enabled", "position"]}),
        (
            "When all of these match",
            {
                "fields": ["match_host", "match_path", "match_model"],
                "description": "RE2 expressions, searched in the value; blank matches everything.",
            },
        ),
        ("Then", {"fields": ["action", "dest_provider", "dest_model", "dest_host", "dest_path"]}),
        ("In translated requests", {"fields": ["server_tools"]}),
        ("When it fails", {"fields": [*RETRY_FIELDS, "fallbacks"]}),
        (
            "Vertex AI",
            {"fields": [("dest_vertex_project", "dest_vertex_location")], "classes": ["collapse"]},
        ),
        ("Notes", {"fields": ["comment"]}),
    ]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if proposal := transform_proposal(obj):
            messages.warning(request, proposal)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        hits = rule_hits([rule.pk for rule in changelist.result_list])
        for rule in changelist.result_list:
            rule.hits = hits.get(rule.pk)
        return changelist

    @column("Rule", header=True, ordering="name")
    def title(self, rule: TransformRule) -> list[str]:
        return [str(rule), rule.action]

    @column("When")
    def conditions(self, rule: TransformRule) -> SafeString:
        shown = conditions_of(rule)
        if not shown:
            return SafeString("every request")
        return format_html_join(SafeString("<br>"), '{} <code class="cc-mono">{}</code>', shown)

    @column("Then")
    def outcome(self, rule: TransformRule) -> SafeString:
        if rule.action == "passthrough":
            return SafeString("left as it is")
        where = rule.dest_host or (rule.dest_provider.name if rule.dest_provider else UNKNOWN)
        model = format_html(" as <code>{}</code>", rule.dest_model) if rule.dest_model else ""
        return format_html("to {}{}{}", where, rule.dest_path, model)

    @column("Matched in 24 h")
    def matches(self, rule: TransformRule) -> SafeString:
        recent, last = getattr(rule, "hits", None) or (0, None)
        if last is None:
            return SafeString('<span class="cc-hint">never matched</span>')
        if not recent:
            return format_html(
                '0 <span class="cc-hint">last {} ago</span>', timesince(last, depth=1)
            )
        return format_html("{}", recent)
