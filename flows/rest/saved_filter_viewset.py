"""REST: saved filters of the flow list."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as ModelError
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import IsAdminUser
from rest_framework.serializers import BaseSerializer

from flows.models import SavedFilter
from flows.queries.saved_filters import (
    check_room,
    clean_query,
    own_filters,
    saved_filters,
)
from providers.web.rest import FullCleanSerializer


class SavedFilterSerializer(FullCleanSerializer[SavedFilter]):
    """A saved filter.

    `query` is the query of the list's address, without parameters that filter nothing.
    """

    owner = serializers.SerializerMethodField()
    mine = serializers.SerializerMethodField(help_text="True if you may change and delete it.")

    class Meta:
        model = SavedFilter
        fields = ["id", "name", "query", "shared", "owner", "mine"]

    @extend_schema_field(str)
    def get_owner(self, saved: SavedFilter) -> str:
        return saved.owner.get_username()

    def get_mine(self, saved: SavedFilter) -> bool:
        user = self.context["request"].user
        return bool(user.is_superuser or saved.owner_id == user.pk)

    def candidate(self, attrs: dict[str, Any]) -> SavedFilter:
        candidate = super().candidate(attrs)
        if candidate.owner_id is None:
            candidate.owner = self.context["request"].user
        return candidate

    def validate_query(self, query: str) -> str:
        try:
            return clean_query(query)
        except ModelError as exc:
            raise ValidationError(exc.messages) from None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        candidate = self.candidate(attrs)
        own = SavedFilter.objects.filter(owner_id=candidate.owner_id)
        same_name = own.filter(name=candidate.name).exclude(pk=candidate.pk)
        if same_name.exists():
            raise ValidationError({"name": ["You have saved a filter with this name already."]})
        if self.instance is None:
            try:
                check_room(candidate.owner_id)
            except ModelError as exc:
                raise ValidationError(exc.messages) from None
        return attrs


class SavedFilterViewSet(viewsets.ModelViewSet[SavedFilter]):
    """Your saved filters and the shared ones of others.

    Every member of the staff may save some, because a filter shows no flows.
    """

    queryset = SavedFilter.objects.select_related("owner")
    serializer_class = SavedFilterSerializer
    permission_classes = [IsAdminUser]
    pagination_class = None
    filter_backends = ()
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[SavedFilter]:
        user = self.request.user
        is_read = self.request.method in ("GET", "HEAD", "OPTIONS")
        filters = saved_filters(user) if is_read else own_filters(user)
        return filters.select_related("owner")

    def perform_create(self, serializer: BaseSerializer[SavedFilter]) -> None:
        serializer.save(owner=self.request.user)
