"""Admin: accounts and API tokens, with the theme's forms."""

from __future__ import annotations

from copy import copy
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as StockGroupAdmin
from django.contrib.auth.admin import UserAdmin as StockUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from rest_framework.authtoken.admin import TokenAdmin as StockTokenAdmin
from rest_framework.authtoken.models import Token, TokenProxy
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.views import ChangeList

from ccproxy_site.console.api_tokens import fill_with_new_token
from ccproxy_site.notices import notice_admin  # noqa: F401  # registers its page
from flows.display.units import UNKNOWN
from providers.audit.log import caller_of, record_audit
from providers.config_admin import token_page

# The top bar of the console has every page.
admin.site.enable_nav_sidebar = False
# As on the console's pages; Django writes "-".
admin.site.empty_value_display = UNKNOWN
admin.site.unregister(User)
admin.site.unregister(Group)
if admin.site.is_registered(TokenProxy):
    admin.site.unregister(TokenProxy)


@admin.register(User)
class UserAdmin(StockUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """Accounts of the console."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(StockGroupAdmin, ModelAdmin):
    """Groups of rights."""


class _TokenChangeList(ChangeList):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.opts = self.model_admin.opts

    def url_for_result(self, result: Token) -> str:
        return reverse("admin:authtoken_tokenproxy_change", args=[result.user_id])


# Otherwise the token itself is written into the admin's history and onto “delete this user?” pages.
Token.__str__ = lambda token: f"API token of {token.user}"  # type: ignore[method-assign, attr-defined]


@admin.register(TokenProxy)
class TokenAdmin(StockTokenAdmin, ModelAdmin):
    """Tokens of the REST API; the clear text is shown once, when it is made.

    Addresses name the user, not the token.
    """

    list_display = ["user", "created"]
    list_select_related = ["user"]
    fields = ["user"]
    search_fields = ["user__username"]
    list_display_links = ["user"]
    autocomplete_fields = ["user"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The model is rest_framework's, so a name in its Meta would ask for a migration there.
        self.opts = copy(self.opts)
        self.opts.verbose_name = "API token"
        self.opts.verbose_name_plural = "API tokens"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return _TokenChangeList

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a token is deleted and made anew

    def response_add(
        self, request: HttpRequest, obj: Token, post_url_continue: str | None = None
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"API token of {obj.user}",
            "token": request.__dict__.pop("ccproxy_new_token"),
            "header": "Authorization: Token",
            "opts": self.opts,
        }
        return token_page(request, context)

    def save_model(self, request: HttpRequest, obj: Token, form: Any, change: bool) -> None:
        record_audit("api-token-add", f"user {obj.user}", by=caller_of(request), outcome="done")
        request.__dict__["ccproxy_new_token"] = fill_with_new_token(obj)
        obj.save(force_insert=True)

    def delete_model(self, request: HttpRequest, obj: Token) -> None:
        record_audit("api-token-remove", f"user {obj.user}", by=caller_of(request), outcome="done")
        super().delete_model(request, obj)
