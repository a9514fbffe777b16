"""The audit log."""

from __future__ import annotations

from django.db import models


class AuditEntry(models.Model):
    """One act, written before it was done.

    People never change rows; `outcome` holds the result.
    """

    ACTIONS = {
        "reveal": "Stored secret shown",
        "test": "Credential tested",
        "renew": "Login renewed",
        "login": "Logged in to a provider",
        "credential-change": "Credential changed",
        "command-change": "Credential command changed",
        "config-change": "Configuration changed",
        "client-token-add": "Client token made",
        "client-token-remove": "Client token removed",
        "api-token-add": "API token made",
        "api-token-remove": "API token removed",
        "export": "Flows exported",
        "clear": "Flows cleared",
        "replay": "Request sent again",
        "perplexity-thread": "Perplexity thread changed or deleted",
        "rotate-key": "Encryption key rotated",
        "shape-save": "Shape stored",
        "shape-activate": "Shape activated",
        "shape-deactivate": "Shape deactivated",
        "shape-delete": "Shape deleted",
        "shape-acknowledge": "Terms for shaping confirmed or withdrawn",
    }
    SOURCES = {"console": "console", "api": "API", "command": "command line", "mcp": "MCP"}
    OUTCOMES = {"begun": "begun", "done": "done", "refused": "refused", "failed": "failed"}

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    action = models.CharField(max_length=32, choices=ACTIONS)
    target = models.CharField("done to", max_length=200, blank=True)
    actor = models.CharField("who", max_length=200)
    source = models.CharField("by", max_length=16, choices=SOURCES)
    address = models.CharField("from", max_length=200, blank=True)
    outcome = models.CharField(max_length=16, choices=OUTCOMES, default="begun")
    detail = models.TextField(blank=True)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {self.target}"
