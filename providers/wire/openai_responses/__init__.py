"""Wire format of OpenAI Responses."""

from __future__ import annotations
