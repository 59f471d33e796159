"""Settings of the searcher."""

from __future__ import annotations

from pydantic import Field

from entityflow.settings import Settings


class SearcherSettings(Settings):
    searcher_concurrency: int = Field(default=8, ge=1, description="queries in work at once")
    searcher_timeout_seconds: float = Field(default=30.0, gt=0, description="for one answer of a provider")
    searcher_answer_bytes: int = Field(default=8 << 20, gt=0, description="largest answer of a provider")
    searcher_patience_seconds: float = Field(
        default=60.0, ge=0, description="how long a provider that is away holds up a query; then it is asked later"
    )
    searcher_sweep_seconds: float = Field(default=10.0, gt=0, description="how often what was postponed is looked at")
