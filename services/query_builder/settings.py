"""Settings of the query builder."""

from __future__ import annotations

from pydantic import Field

from entityflow.settings import Settings


class QueryBuilderSettings(Settings):
    query_builder_concurrency: int = Field(default=64, ge=1, description="records in work at once")
