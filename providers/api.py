"""REST resources of providers and transform rules."""

from __future__ import annotations

import copy
from typing import Any

from django.db import transaction
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from providers.audit.log import audit_credential, caller_of
from providers.base.header_key import trimmed_key
from providers.base.nearest import capitalised
from providers.fallbacks import BadFallbacks
from providers.models import Provider, TransformRule
from providers.services import (
    CODE_REFUSED,
    LOGIN_REFUSED,
    MOVE_REFUSED,
    may_set_code,
    moves_credential,
    sentinel_keys,
    sets_new_code,
    sets_new_login,
    unknown_fallback,
)
from providers.web.password_check import password_problem
from providers.web.rest import ConfigViewSet, FullCleanSerializer, HintingSlugField


def _refuse_unknown_fallbacks(attrs: dict[str, Any]) -> None:
    """Reject new fallbacks that are no providers; a list that cannot be read is refused later."""
    try:
        problem = unknown_fallback(attrs.get("fallbacks", ()))
    except BadFallbacks:
        return
    if problem:
        raise ValidationError({"fallbacks": [capitalised(problem)]})


class ProviderSerializer(FullCleanSerializer[Provider]):
    """A provider. Its secret can be written, never read."""

    secret = serializers.CharField(
        write_only=True,
        required=False,
        allow_blank=True,
        max_length=10_000,
        help_text="A new API key, stored encrypted; empty text forgets the stored one.",
    )
    own_password = serializers.CharField(
        write_only=True,
        required=False,
        trim_whitespace=False,
        max_length=1000,
        help_text="Your password; needed to send the stored credential to another address.",
    )
    secret_stored = serializers.SerializerMethodField(help_text="True when an API key is stored.")
    sentinel_keys = serializers.SerializerMethodField(
        help_text="Keys that clients send instead of the credential."
    )

    class Meta:
        model = Provider
        fields = [
            "id",
            "name",
            "enabled",
            "type",
            "scheme",
            "host",
            "port",
            "path",
            "native_formats",
            "verify_tls",
            "headers",
            "model_names",
            "fingerprint_profile",
            "retry",
            "fallbacks",
            "cooldown_seconds",
            "server_tools",
            "auth_type",
            "auth_config",
            "auth_header",
            "secret",
            "own_password",
            "secret_stored",
            "sentinel_keys",
            "created_at",
            "changed_at",
        ]

    def get_secret_stored(self, provider: Provider) -> bool:
        return bool(provider.secret)

    def get_sentinel_keys(self, provider: Provider) -> list[str]:
        return sentinel_keys(provider.name)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        _refuse_unknown_fallbacks(attrs)
        password = attrs.pop("own_password", "")
        if attrs.get("secret"):
            attrs["secret"] = trimmed_key(attrs["secret"])
        attrs = super().validate(attrs)
        if sets_new_code(self.candidate(attrs), self.instance) and not may_set_code(
            self.context["request"].user
        ):
            raise ValidationError({"auth_config": [CODE_REFUSED]})
        if (
            sets_new_login(self.candidate(attrs), self.instance)
            and not self.context["request"].user.is_superuser
        ):
            raise ValidationError({"auth_config": [LOGIN_REFUSED]})
        if moves_credential(self.candidate(attrs), self.instance):
            self._refuse_move(password)
        return attrs

    def _refuse_move(self, password: str) -> None:
        user = self.context["request"].user
        if not user.is_superuser:
            raise ValidationError({"host": [MOVE_REFUSED]})
        if problem := password_problem(user, password, "move"):
            raise ValidationError({"own_password": [problem]})


class ProviderViewSet(ConfigViewSet[Provider]):
    """Providers, by name. Changes of credentials are in the audit log."""

    queryset = Provider.objects.all()
    serializer_class = ProviderSerializer
    lookup_field = "name"
    lookup_value_regex = r"[A-Za-z0-9][A-Za-z0-9._-]*"

    def perform_create(self, serializer: Any) -> None:
        self._save(serializer, None)

    def perform_update(self, serializer: Any) -> None:
        self._save(serializer, copy.copy(serializer.instance))

    def _save(self, serializer: Any, before: Provider | None) -> None:
        after = serializer.candidate(serializer.validated_data)
        with transaction.atomic():
            audit_credential(before, after, by=caller_of(self.request))
            serializer.save()


class RuleSerializer(FullCleanSerializer[TransformRule]):
    """A transform rule; `dest_provider` is a provider's name."""

    dest_provider = HintingSlugField(
        slug_field="name", queryset=Provider.objects.all(), required=False, allow_null=True
    )

    class Meta:
        model = TransformRule
        fields = [
            "id",
            "position",
            "enabled",
            "name",
            "action",
            "match_host",
            "match_path",
            "match_model",
            "dest_provider",
            "dest_host",
            "dest_path",
            "dest_model",
            "dest_vertex_project",
            "dest_vertex_location",
            "fallbacks",
            "retry",
            "server_tools",
            "comment",
            "created_at",
            "changed_at",
        ]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        _refuse_unknown_fallbacks(attrs)
        return super().validate(attrs)


class RuleViewSet(ConfigViewSet[TransformRule]):
    """Transform rules, in the order they are tried."""

    queryset = TransformRule.objects.select_related("dest_provider")
    serializer_class = RuleSerializer
    lookup_value_regex = r"\d{1,18}"
