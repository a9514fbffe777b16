"""Schema of `inspector.transforms`: the rules, which live in the database."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from interceptor.config.files.groups import Group
from interceptor.config.files.sections.retry_section import Fallbacks, RetrySection


class TransformSection(Group):
    """One entry of `inspector.transforms`."""

    action: Literal["passthrough", "redirect", "transform"] = Field(
        "redirect", description="What to do."
    )
    match_host: str | None = Field(
        None, description="Searched in the host, Host and X-Forwarded-Host; null: any."
    )
    match_path: str | None = Field(".*", description="Searched in the path with its query.")
    match_model: str | None = Field(
        None, description="Searched in the body's model, in any letter case; null: any."
    )
    dest_provider: str | None = Field(
        None, description="The provider to send to: host, path, credential, format."
    )
    dest_host: str | None = Field(
        None, description="Raw host; wins over the provider's, and gets no credential."
    )
    dest_path: str | None = Field(None, description="Raw path template; wins over the provider's.")
    dest_model: str | None = Field(None, description="The model to ask for instead.")
    dest_vertex_project: str | None = Field(
        None, description="Google Cloud project, for Vertex AI."
    )
    dest_vertex_location: str | None = Field(None, description="Region, for Vertex AI.")
    fallbacks: Fallbacks = Field(
        (), description="Who gets a request that failed, instead of the provider's own fallbacks."
    )
    retry: RetrySection | None = Field(
        None, description="Failures that are tried again, instead of the provider's own."
    )
    server_tools: Literal["drop", "map", "refuse"] | None = Field(
        None, description="Tools that run at the client's vendor; null: as the provider says."
    )
    name: str = Field("", max_length=100, description="How the record names the rule.")
    enabled: bool = Field(True, description="A disabled rule never matches.")
    comment: str = Field("", description="For people.")
