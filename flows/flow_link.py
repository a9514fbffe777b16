"""Model of the links between the model calls of a session: thread, predecessor, cache break."""

from __future__ import annotations

from typing import Final

from django.db import models

MISSED_TOKENS: Final = 1024
"""Vendors cache no prompt that is shorter (OpenAI "Prompt caching"; Anthropic: most models)."""

GUESSED_START: Final = "~"
"""What the ids of guessed sessions begin with: those of clients that send no id of theirs."""


def guessed_id(flow_id: str) -> str:
    """Return the id of the guessed session that begins with a flow."""
    return f"{GUESSED_START}{flow_id}"


def is_guessed(session_id: str) -> bool:
    """Return whether the recorder found what belongs to a session, not its client."""
    return session_id.startswith(GUESSED_START)


class FlowLink(models.Model):
    """Place of a model call in its session, and the first difference from the call before it.

    The recorder makes it once a flow has ended (`flows.lineage`). Other flows have none.
    """

    class Relation(models.TextChoices):
        FIRST = "first", "first of its thread"
        CONTINUED = "continued", "continues the earlier call"
        REPEATED = "repeated", "repeats the earlier call"
        BROKEN = "broken", "differs inside of the earlier prompt"
        COMPACTED = "compacted", "goes on from a summary"
        SWITCHED = "switched", "goes on with another model"
        REWOUND = "rewound", "goes on from an earlier message with other words"

    flow = models.OneToOneField(
        "flows.Flow", on_delete=models.CASCADE, primary_key=True, related_name="link"
    )
    session = models.CharField(
        max_length=200, help_text="The client's session id; without one, “~” and a flow's id."
    )
    guessed = models.BooleanField(
        default=False, help_text="No session id was sent: client, run, time and prefix decided."
    )
    thread = models.CharField(max_length=36, help_text="Id of the thread's first flow.")
    previous = models.CharField(
        max_length=36, blank=True, help_text="Id of the earlier call that it was compared with."
    )
    relation = models.CharField(max_length=12, choices=Relation, default=Relation.FIRST)
    parts = models.PositiveIntegerField(default=0, help_text="Parts of the prompt.")
    path = models.CharField(
        max_length=300, blank=True, help_text="Address of the first difference: messages[3]"
    )
    kind = models.CharField(
        max_length=12, blank=True, help_text="model, changed, inserted or removed"
    )
    author = models.CharField(
        max_length=200, blank=True, help_text="“the client”, or the name of a hook."
    )
    before = models.TextField(blank=True, help_text="The earlier part, around the difference.")
    after = models.TextField(blank=True, help_text="The new part, around the difference.")
    kept_bytes = models.PositiveBigIntegerField(default=0)
    total_bytes = models.PositiveBigIntegerField(
        default=0, help_text="Size of the earlier prompt, of which kept_bytes come before."
    )
    lost_tokens = models.PositiveIntegerField(
        null=True, blank=True, help_text="Tokens that were cached and not read."
    )
    lost_usd = models.DecimalField(
        max_digits=14, decimal_places=8, null=True, blank=True, help_text="Their added cost."
    )

    class Meta:
        indexes = [
            models.Index(fields=["session"], name="link_session"),
            models.Index(fields=["thread"], name="link_thread"),
        ]

    def __str__(self) -> str:
        return f"{self.flow_id} {self.relation}"

    @property
    def is_break(self) -> bool:
        """The prompt differs inside of the earlier one, so that the cache is lost from there."""
        return bool(self.kind) and not self.is_rewind

    @property
    def is_rewind(self) -> bool:
        """The client left out the end of the earlier prompt: its cache is not needed any more."""
        return self.relation == self.Relation.REWOUND

    def is_missed(self, read_tokens: int | None) -> bool:
        """Return whether most of a cache was not read, although the prompt has all of its start.

        Example: 30,000 tokens were in the cache, and 4,000 were read → True.
        """
        lost = self.lost_tokens or 0
        return not self.is_break and lost >= MISSED_TOKENS and lost > (read_tokens or 0)
