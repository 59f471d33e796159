"""Settings of the fetcher: ENTITYFLOW_FETCHER_..."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr

from entityflow.pictures import PictureLimits
from entityflow.settings import MIB, Settings
from services.fetcher.pace import Terms

DAY = 86_400.0


class HostTerms(BaseModel):
    """What a site asks of robots, where it says more than a robots.txt can."""

    delay_seconds: float = Field(default=0.5, ge=0)
    speedup: float = Field(default=1.0, ge=1)
    connections: int = Field(default=1, gt=0)
    bytes_per_second: float | None = Field(default=None, gt=0)

    @property
    def as_terms(self) -> Terms:
        return Terms(self.delay_seconds, self.speedup, self.connections, self.bytes_per_second)


# https://wikitech.wikimedia.org/wiki/Robot_policy: two connections, 25 Mbit/s for media
WIKIMEDIA = {"wikimedia.org": HostTerms(delay_seconds=0.5, connections=2, bytes_per_second=25e6 / 8)}


class FetcherSettings(Settings):
    """Delays are seconds. `loopback` ones hold for hosts of the resolve map and for this machine."""

    fetcher_concurrency: int = Field(2000, gt=0, description="candidates in work at once, most of them waiting")
    fetcher_connections: int = Field(256, gt=0, description="open at once")
    fetcher_delay_seconds: float = Field(1.0, ge=0, description="between two requests to one host key, to begin with")
    fetcher_speedup: float = Field(2.0, ge=1, description="how many times as fast a host may become that answers well")
    fetcher_host_connections: int = Field(
        2, gt=0, description="to one host key, where it answers well; 1 to begin with"
    )
    fetcher_loopback_delay_seconds: float = Field(0.0, ge=0)
    fetcher_loopback_connections: int = Field(8, gt=0)
    fetcher_host_terms: dict[str, HostTerms] = Field(
        default_factory=lambda: dict(WIKIMEDIA), description="host keys with terms of their own"
    )
    fetcher_allow_loopback: bool = Field(False, description="fetch from localhost and 127.0.0.1, ports from 1024 on")
    fetcher_local_servers: tuple[str, ...] = Field((), description="HOST:PORT in private nets that may be fetched from")
    fetcher_ports: tuple[int, ...] = Field((80, 443), description="of hosts of the Internet")
    fetcher_backoff_seconds: float = Field(60.0, gt=0, description="first back-off of a host, doubled each time")
    fetcher_max_backoff_seconds: float = Field(DAY, gt=0)
    fetcher_forgive_seconds: float = Field(1800.0, gt=0, description="quiet time after which back-off starts anew")
    fetcher_park_seconds: float = Field(10.0, gt=0, description="a longer wait for its host parks a candidate")
    fetcher_retry_short_seconds: float = Field(60.0, gt=0)
    fetcher_retry_medium_seconds: float = Field(600.0, gt=0)
    fetcher_retry_long_seconds: float = Field(3600.0, gt=0)
    fetcher_max_attempts: int = Field(4, gt=0, description="a parked candidate has made none")
    fetcher_max_age_seconds: float = Field(DAY, gt=0, description="waited between failed attempts; parking is none")

    fetcher_timeout_seconds: float = Field(20.0, gt=0, description="for one whole answer")
    fetcher_max_bytes: int = Field(20 * MIB, gt=0, description="of one body")
    fetcher_body_bytes: int = Field(256 * MIB, gt=0, description="of all bodies held at once")
    fetcher_max_hops: int = Field(5, ge=0, description="redirects of one address")
    fetcher_tdmrep: bool = Field(True, description="ask each origin for /.well-known/tdmrep.json")
    fetcher_denied_hosts: tuple[str, ...] = Field((), description="hosts that are never asked, with their subdomains")
    fetcher_denied_hosts_file: Path | None = Field(None, description="the same as a file, one host a line")
    fetcher_opt_out_file: Path | None = Field(None, description="opted-out hosts, addresses and ADDRESS*, one a line")
    fetcher_opt_out_service: str = Field("", description="asked by POST whether owners of addresses opted out")
    fetcher_opt_out_key: SecretStr = Field(SecretStr(""), description="Authorization header for that service")
    fetcher_bad_hashes_file: Path | None = Field(None, description="MD5, SHA-1, SHA-256 of what is never kept")
    fetcher_bad_hashes_service: str = Field("", description="asked by POST whether a SHA-256 is known to be bad")
    fetcher_bad_hashes_key: SecretStr = Field(SecretStr(""), description="Authorization header for that service")
    fetcher_licenses: tuple[str, ...] = Field((), description="the only licences that are taken, as cc0, by, by-sa")
    fetcher_robots_seconds: float = Field(DAY, gt=0, le=DAY, description="how long a robots.txt is believed")

    fetcher_decoders: int = Field(2, gt=0, description="child processes that decode")
    fetcher_decode_seconds: float = Field(10.0, gt=0, description="for one picture")
    fetcher_short_side_pixels: int = Field(288, gt=0, le=1024, description="of stored pictures; never scaled up")
    fetcher_jpeg_quality: int = Field(90, ge=50, le=95)
    fetcher_max_pixels: int = Field(50_000_000, gt=0, description="of a picture, looked at before decoding")
    fetcher_min_side_pixels: int = Field(16, gt=0)
    fetcher_max_aspect: float = Field(3.0, ge=1)

    fetcher_reason_days: float = Field(30.0, gt=0, description="how long a permanent reason of an address is believed")
    fetcher_permission_days: float = Field(7.0, gt=0, description="the same, where permission was refused")
    fetcher_exhausted_days: float = Field(1.0, gt=0, description="the same, where all attempts failed")

    @property
    def picture_limits(self) -> PictureLimits:
        return PictureLimits(
            short_side_pixels=self.fetcher_short_side_pixels,
            jpeg_quality=self.fetcher_jpeg_quality,
            max_pixels=self.fetcher_max_pixels,
            min_side_pixels=self.fetcher_min_side_pixels,
            max_aspect=self.fetcher_max_aspect,
        )

    @property
    def retry_seconds(self) -> dict[str, float]:
        """Delay of each retry topic, shortest first."""
        return {
            "url-retry-short": self.fetcher_retry_short_seconds,
            "url-retry-medium": self.fetcher_retry_medium_seconds,
            "url-retry-long": self.fetcher_retry_long_seconds,
        }
