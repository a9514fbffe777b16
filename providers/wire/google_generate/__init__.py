"""Wire format of Google generateContent: Gemini API, Vertex AI and Code Assist."""

from __future__ import annotations
