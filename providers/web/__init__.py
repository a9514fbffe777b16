"""Parts that all REST resources and admin pages share."""

from __future__ import annotations
