"""Settings of the console."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from entityflow.settings import Settings


class ConsoleSettings(Settings):
    console_port: int = Field(0, ge=0, le=65535, description="0 takes a free one")
    console_bind: str = Field("127.0.0.1", description="who may look: only this machine, unless you say otherwise")
    console_address_file: Path | None = Field(None, description="where to write the address that it answers on")
    console_pictures: int = Field(60, ge=0, le=1000, description="newest pairs that are shown")
    console_clusters: int = Field(100, ge=0, le=1000, description="newest clusters of duplicates that are shown")
    console_refresh_seconds: float = Field(2.0, gt=0, description="how often offsets are looked at")
