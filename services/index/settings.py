"""Settings of the index."""

from __future__ import annotations

from pydantic import Field

from entityflow.domain import Domain, load_domain
from entityflow.settings import MIB, Settings

DEFAULT_HELDOUT_SHARE = Domain.model_fields["heldout_share"].default


class IndexSettings(Settings):
    """The state lies in `state_dir`/index."""

    index_batch_records: int = Field(1000, gt=0, le=10_000, description="fingerprints judged and written at once")
    index_row_limit: int = Field(256, gt=0, description="canonicals a row holds; a full one keeps the earliest")
    index_cache_bytes: int = Field(128 * MIB, gt=0, description="block cache of the state")

    def heldout_share(self) -> float:
        """The domain's, or that of a domain that does not say."""
        return load_domain(self.domain).heldout_share if self.domain else float(DEFAULT_HELDOUT_SHARE)
