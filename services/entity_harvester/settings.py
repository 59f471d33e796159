"""Settings of the harvester."""

from __future__ import annotations

from pydantic import Field

from entityflow.settings import Settings


class HarvesterSettings(Settings):
    harvester_page_items: int = Field(default=10_000, ge=1, description="items a page of the closure")
    harvester_batch_items: int = Field(default=200, ge=1, description="items whose names are asked for at once")
    harvester_timeout_seconds: float = Field(default=120.0, gt=0, description="for one answer of the endpoint")
    harvester_attempts: int = Field(default=6, ge=1, description="bad answers in a row before the pass is given up")
    harvester_patience_seconds: float = Field(default=600.0, gt=0, description="longest wait that an endpoint may ask")
    harvester_limit: int | None = Field(default=None, ge=1, description="goes before limits.entities of the domain")
    harvester_interval_seconds: float = Field(default=86_400.0, gt=0, description="between two passes of the service")
