"""Parser of the REST API. The settings name it, so it must not import any view."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from providers.base.json_value import check_json


class StrictJSONParser(JSONParser):
    """Parser of JSON that can be stored. Broken, endless or oversized input is a 400."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            value = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        if problem := check_json(value):
            raise ParseError(problem)
        return value
