"""Settings of the query builder."""

from __future__ import annotations

from pydantic import Field

from entityflow.settings import Settings


class QueryBuilderSettings(Settings):
    query_builder_concurrency: int = Field(default=64, ge=1, description="records in work at once")
    query_builder_rounds: int | None = Field(
        default=None, ge=0, description="how often more may be asked for; goes before queries.rounds of the domain"
    )
