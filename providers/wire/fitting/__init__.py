"""Adaptation of requests to the facts about the model that will run them."""

from __future__ import annotations
