"""REST: hooks, client tokens and the state of the running interceptors."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.core.exceptions import ValidationError as ModelError
from rest_framework import serializers, viewsets
from rest_framework.exceptions import ValidationError

from interceptor.access.client_token import fill_with_new_token
from interceptor.hooks.table import describe_hook
from interceptor.instances.health import is_fresh, newest_revision
from interceptor.models import ClientToken, HookSetting, InterceptorStatus
from interceptor.validation import sets_new_hook_path, validate_client_token
from providers.audit.log import audited, caller_of
from providers.services import CODE_REFUSED, may_set_code
from providers.web.rest import (
    ConfigViewSet,
    FullCleanSerializer,
    StaffWithModelPermissions,
    StrictSerializer,
)


class HookSerializer(FullCleanSerializer[HookSetting]):
    """A hook of the pipeline: a built-in name, or the dotted path of your own function."""

    about = serializers.SerializerMethodField(help_text="One line about the hook.")

    class Meta:
        model = HookSetting
        fields = ["id", "stage", "position", "name", "about", "enabled", "params", "changed_at"]

    def get_about(self, setting: HookSetting) -> str:
        return describe_hook(setting.name)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        new_path = sets_new_hook_path(self.candidate(attrs), self.instance)
        if new_path and not may_set_code(self.context["request"].user):
            raise ValidationError({"name": [CODE_REFUSED]})
        return attrs


class HookViewSet(ConfigViewSet[HookSetting]):
    """Hooks, by stage and position."""

    queryset = HookSetting.objects.all()
    serializer_class = HookSerializer
    lookup_value_regex = r"\d{1,18}"


class ClientTokenSerializer(StrictSerializer[ClientToken]):
    """A client token. `token` is filled once, in the response that creates it."""

    token = serializers.SerializerMethodField(
        help_text="The clear text; null in every later answer."
    )

    class Meta:
        model = ClientToken
        fields = ["id", "name", "enabled", "providers", "created_at", "token"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "providers" not in attrs:
            return attrs
        try:
            validate_client_token(ClientToken(providers=attrs["providers"]), self.instance)
        except ModelError as exc:
            raise ValidationError(exc.message_dict) from None
        return attrs

    def get_token(self, row: ClientToken) -> str | None:
        return getattr(self, "new_token", None)

    def create(self, validated_data: dict[str, Any]) -> ClientToken:
        row = ClientToken(**validated_data)
        self.new_token: str | None = fill_with_new_token(row)
        row.save()
        return row


class ClientTokenViewSet(ConfigViewSet[ClientToken]):
    """Client tokens, which clients show in `x-ccproxy-token`."""

    queryset = ClientToken.objects.order_by("name")
    serializer_class = ClientTokenSerializer
    lookup_value_regex = r"\d{1,18}"

    def perform_create(self, serializer: Any) -> None:
        name = serializer.validated_data["name"]
        with audited("client-token-add", f"token {name}", by=caller_of(self.request)):
            super().perform_create(serializer)

    def perform_destroy(self, instance: ClientToken) -> None:
        with audited("client-token-remove", f"token {instance.name}", by=caller_of(self.request)):
            super().perform_destroy(instance)


class InterceptorStatusSerializer(serializers.ModelSerializer[InterceptorStatus]):
    """The heartbeat of one interceptor."""

    running = serializers.SerializerMethodField(
        help_text="The heartbeat is at most twelve seconds old."
    )
    newest_revision = serializers.SerializerMethodField(help_text="The newest saved configuration.")

    class Meta:
        model = InterceptorStatus
        fields = [
            "instance",
            "running",
            "started_at",
            "heartbeat_at",
            "version",
            "endpoints",
            "revision",
            "newest_revision",
            "refused_revision",
            "refusal",
            "restart_needed",
            "queue_depth",
            "bodies_dropped",
            "records_dropped",
            "writer_error",
            "active_flows",
            "cooldowns",
        ]

    def get_running(self, status: InterceptorStatus) -> bool:
        return is_fresh(status)

    def get_newest_revision(self, status: InterceptorStatus) -> int:
        newest: int = self.context["newest_revision"]()
        return newest


class InterceptorStatusViewSet(viewsets.ReadOnlyModelViewSet[InterceptorStatus]):
    """Interceptors, the latest heartbeat first."""

    queryset = InterceptorStatus.objects.order_by("-heartbeat_at")
    serializer_class = InterceptorStatusSerializer
    permission_classes = [StaffWithModelPermissions]
    pagination_class = None
    filter_backends = ()
    lookup_value_regex = r"[^/\x00]{1,100}"

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "newest_revision": cache(newest_revision)}
