"""Failures that providers report, in every known spelling."""

from __future__ import annotations
