"""Settings: environment variables `ENTITYFLOW_...`, `.env` and `entityflow.yaml`; read once, typed, secrets hidden.

A service adds its own in `services/NAME/settings.py` as a subclass whose fields begin with the service's name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from entityflow.errors import UsageError

ENV_PREFIX = "ENTITYFLOW_"
MIB = 1 << 20


class Settings(BaseSettings):
    """What every service needs: where the servers are, who we are, how much memory a stage may hold."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_file=".env", yaml_file="entityflow.yaml", extra="ignore", frozen=True
    )

    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_security: dict[str, str] = Field(default_factory=dict, description="librdkafka properties: TLS, SASL")
    s3_endpoint: str = "http://127.0.0.1:9000"
    s3_access_key: str = ""
    s3_secret_key: SecretStr = SecretStr("")
    s3_bucket: str = "entityflow"
    prefix: str = Field(
        "", description="put before every topic (PREFIX.) and key (PREFIX/), so domains share a cluster"
    )
    sparql_endpoint: str = ""
    search_endpoint: str = Field("", description="base address of the demo web's search API")
    resolve_file: Path | None = Field(
        None, description='JSON {host: "address:port"}: hosts that are not looked up in DNS'
    )
    contact: str = Field("", description="e-mail or page in the User-Agent; without it nothing leaves for the Internet")
    domain: Path | None = None
    stack_dir: Path = Path(".stack")
    state_dir: Path = Path(".stack/state")
    small_topics: bool = Field(False, description="partition counts of the embedded broker, no retention by time")
    accept_loss: bool = Field(False, description="go on where offsets are gone, and count what was skipped")

    metrics_port: int = Field(0, ge=0, le=65535, description="health and metrics; 0 takes a free port")
    metrics_bind: str = "127.0.0.1"
    log_level: str = "info"
    log_format: str = Field("text", pattern="^(text|json)$")
    run_id: str = "run"

    in_flight_bytes: int = Field(64 * MIB, gt=0, description="taken from the broker and not finished, per stage")
    client_queue_bytes: int = Field(32 * MIB, gt=0, description="prefetched by the client, per consumer")
    producer_queue_bytes: int = Field(64 * MIB, gt=0)
    drain_seconds: float = Field(20.0, gt=0, description="how long a stop or a revoked partition waits for its work")
    commit_seconds: float = Field(1.0, gt=0)
    session_timeout_seconds: float = Field(30.0, gt=0)
    group_instance_id: str = Field("", description="static member id, where a StatefulSet runs")
    alone_seconds: float = Field(
        30.0, gt=0, description="how long one record is in work by itself, where processes have died; then others go on"
    )
    guard_seconds: float = Field(30.0, gt=0, description="how often guarding groups are looked at")
    guard_backlog_bytes: int = Field(
        0, ge=0, description="unread bytes of a topic below at which input waits; 0 = only its retention counts"
    )

    @field_validator("prefix")
    @classmethod
    def _plain_prefix(cls, value: str) -> str:
        if value and not all(part.isalnum() for part in value.replace("-", "x").replace("_", "x").split(".")):
            raise ValueError("letters, digits, '-', '_' and '.' only")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, dotenv_settings, YamlConfigSettingsSource(settings_cls))

    def topic_name(self, topic: str) -> str:
        return f"{self.prefix}.{topic}" if self.prefix else topic

    def group_name(self, group: str) -> str:
        return f"{self.prefix}.{group}" if self.prefix else group


S = TypeVar("S", bound=BaseSettings)


def load_settings(cls: type[S] = Settings, **overrides: Any) -> S:  # type: ignore[assignment]
    """The settings in force; raises UsageError that names every bad variable, its value and what is allowed."""
    try:
        return cls(**overrides)
    except ValidationError as exc:
        lines = [_complaint(error) for error in exc.errors()]
        raise UsageError(
            "; ".join(lines), hint="entityflow settings shows every setting and where it came from"
        ) from exc


def _complaint(error: Any) -> str:
    variable = ENV_PREFIX + "_".join(str(part) for part in error["loc"]).upper()
    value = "***" if "secret" in variable.lower() else repr(error.get("input"))
    return f"{variable}={value}: {error['msg']}"
