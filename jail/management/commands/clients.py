"""Command that lists the clients that `ccproxy run` knows (`ccproxy clients`)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from jail.run.client_table import main


class Command(BaseCommand):
    help = "List the clients that run knows, and how each is seen."
    requires_system_checks = []

    def handle(self, *_: Any, **__: Any) -> None:
        main([])
