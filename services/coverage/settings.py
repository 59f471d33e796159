"""Settings of coverage. What is empty here comes from the domain."""

from __future__ import annotations

from pydantic import Field

from entityflow.settings import Settings


class CoverageSettings(Settings):
    coverage_quiet_seconds: float = Field(
        30.0, gt=0, description="an entity is judged when none of its candidates has ended for this long"
    )
    coverage_rounds: int | None = Field(
        None, ge=0, description="how often more may be searched; goes before the domain"
    )
    coverage_pairs_per_entity: int | None = Field(None, ge=1, description="what is enough; goes before the domain")
    coverage_batch_records: int = Field(1000, ge=1)
