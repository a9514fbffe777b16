"""Wire format of OpenAI Chat Completions and compatible servers."""

from __future__ import annotations
