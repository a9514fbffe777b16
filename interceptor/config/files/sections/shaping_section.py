"""Schema of `shaping.providers`: the profiles of provider types, which live in the database."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from interceptor.config.files.groups import Group, Texts


class CaptureSection(Group):
    """Requests that may become shapes."""

    path_pattern: str | None = None


class BillingSection(Group):
    """Constants of a billing line; a text `${NAME}` is read from the environment."""

    salt: str | None = Field(None, repr=False)
    seed: str | None = Field(None, repr=False)
    positions: tuple[int, ...] | None = None


class ProfileSection(Group):
    """One entry of `shaping.providers`. A key that is left out keeps what is stored or shipped."""

    content_fields: Texts | None = Field(
        None, description="Fields of the body that the incoming request supplies."
    )
    merge_strategies: dict[str, str] | None = Field(
        None,
        description=(
            "Content field to replace (default), drop, prepend_shape, prepend_shape:N, append_shape"
            " or append_shape:N."
        ),
    )
    shape_hooks: tuple[str | dict[str, Any], ...] | None = Field(
        None, description="Inner hooks in order: names, or mappings with `hook` and `params`."
    )
    preserve_headers: Texts | None = Field(
        None, description="Headers of the incoming request that are kept."
    )
    strip_headers: Texts | None = Field(None, description="Headers of the shape that are not sent.")
    capture: CaptureSection | None = Field(
        None, description="`path_pattern`: searched in the path of a request that may be captured."
    )
    billing: BillingSection | None = Field(
        None,
        description=(
            "`salt`, `seed` and `positions` of a billing line. A text `${NAME}` is read from the"
            " environment. Stored encrypted."
        ),
    )
