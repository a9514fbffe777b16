"""Schema of `pplx.models`: the models of Perplexity accounts, which live in the database."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from interceptor.config.files.groups import Group


class ModelSection(Group):
    """One entry of `pplx.models`."""

    name: str = Field(min_length=1, max_length=100, description="As clients write it.")
    identifier: str = Field(
        min_length=1, max_length=100, description="As Perplexity's web page writes it."
    )
    mode: Literal["search", "copilot", "research"] = Field(
        "copilot", description="Kind of search that the page starts with it."
    )
    tier: Literal["pro", "max"] = Field(
        "pro", description="Plan that the account needs; for people, it is not checked."
    )
