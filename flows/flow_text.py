"""Models of the search index: the texts that a flow adds, and postings of their trigrams."""

from __future__ import annotations

from django.db import models


class FlowText(models.Model):
    """Texts of a flow that its base does not have, see `flows.search`."""

    flow = models.OneToOneField(
        "flows.Flow", on_delete=models.CASCADE, primary_key=True, related_name="text"
    )
    base = models.CharField(
        max_length=36, blank=True, help_text="Id of the flow that has the texts it repeats."
    )
    segment = models.PositiveIntegerField(
        null=True, blank=True, help_text="Segment with its trigrams; unset until there is one."
    )
    position = models.PositiveSmallIntegerField(default=0, help_text="Position in the segment.")
    # zstd of the JSON [[where, text], ...]; empty without any.
    parts = models.BinaryField(default=b"")

    class Meta:
        indexes = [
            models.Index(fields=["segment", "position"], name="text_segment"),
            models.Index(fields=["base"], name="text_base", condition=~models.Q(base="")),
        ]

    def __str__(self) -> str:
        return f"texts of {self.flow_id}"


class SearchSegment(models.Model):
    """Trigrams of some flows, which the recorder indexed together."""

    flows = models.PositiveIntegerField(help_text="Number of flows, deleted ones too.")

    def __str__(self) -> str:
        return f"segment {self.pk}"


class SearchShelf(models.Model):
    """Postings of a part of the trigrams of one segment, see `flows.search.postings`."""

    segment = models.ForeignKey(
        SearchSegment, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    number = models.PositiveSmallIntegerField()
    postings = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["number", "segment"], name="one_shelf_of_a_segment")
        ]

    def __str__(self) -> str:
        return f"shelf {self.number} of segment {self.segment_id}"
