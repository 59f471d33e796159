"""Settings for commands that ask a server: said at once where nothing listens, not after the patience of a service."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from entityflow.errors import UserError
from entityflow.settings import Settings, load_settings

CONNECT_SECONDS = 3.0
PORTS = {"http": 80, "https": 443}


def settings_with(*servers: str) -> Settings:
    """The settings in force. Raises UserError where `kafka` or `s3` is wanted and nothing listens there."""
    settings = load_settings(Settings)
    require(settings, *servers)
    return settings


def require(settings: Settings, *servers: str) -> None:
    if "kafka" in servers:
        addresses = [_split(address) for address in settings.kafka_bootstrap.split(",")]
        _require("Kafka", settings.kafka_bootstrap, "ENTITYFLOW_KAFKA_BOOTSTRAP", addresses)
    if "s3" in servers:
        parts = urlsplit(settings.s3_endpoint)
        address = (parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0))
        _require("S3", settings.s3_endpoint, "ENTITYFLOW_S3_ENDPOINT", [address])


def _require(server: str, named: str, variable: str, addresses: list[tuple[str, int]]) -> None:
    if not any(_listens(*address) for address in addresses):
        raise UserError(
            f"nothing answers at {named}, where {server} should be",
            hint=f"entityflow up starts the local stack (--dir or ENTITYFLOW_STACK_DIR: another folder); {variable}"
            " names another server",
        )


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.strip().rpartition(":")
    return host.strip("[]"), int(port) if port.isdigit() else 0


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=CONNECT_SECONDS):
            return True
    except (OSError, OverflowError):
        return False
