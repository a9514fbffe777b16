"""Model of the daily sums of usage."""

from __future__ import annotations

from django.db import models


class UsageDaily(models.Model):
    """Usage of one day (UTC), by provider, model and session. It outlives the flows it counts.

    A sum is null while no request reported its part.
    """

    day = models.DateField()
    provider = models.CharField(
        max_length=64, blank=True, help_text="The provider's name; without one, the host."
    )
    model = models.CharField(max_length=200, blank=True)
    session_id = models.CharField(max_length=200, blank=True)
    requests = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    unmetered = models.PositiveBigIntegerField(
        default=0, help_text="Requests without token counts."
    )
    unpriced = models.PositiveBigIntegerField(
        default=0, help_text="Requests with token counts but without a price."
    )
    input_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    output_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    cache_read_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    cache_write_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    reasoning_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    cacheable_tokens = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Input tokens of the requests whose cache reads are known."
    )
    cost_usd = models.DecimalField(max_digits=18, decimal_places=8, null=True, blank=True)

    class Meta:
        ordering = ["-day"]
        constraints = [
            models.UniqueConstraint(
                fields=["day", "provider", "model", "session_id"], name="one_row_per_day_and_use"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.provider} {self.model}"
