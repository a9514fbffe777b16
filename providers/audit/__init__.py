"""Audit log: writing it, its admin page and its REST resource."""

from __future__ import annotations
