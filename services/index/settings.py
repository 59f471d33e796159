"""Settings of the index."""

from __future__ import annotations

from pydantic import Field

from entityflow.domain import Domain, load_domain
from entityflow.settings import MIB, Settings
from services.index.verdicts import Cuts


class IndexSettings(Settings):
    """The state lies in `state_dir`/index."""

    index_batch_records: int = Field(1000, gt=0, le=10_000, description="fingerprints judged and written at once")
    index_row_limit: int = Field(256, gt=0, description="canonicals a row holds; a full one keeps the earliest")
    index_cache_bytes: int = Field(128 * MIB, gt=0, description="block cache of the state")

    index_snapshot_seconds: float = Field(86_400, ge=0, description="how often the state goes to the bucket; 0 = never")

    def cuts(self) -> Cuts:
        """The domain's, or those of a domain that does not say."""
        if self.domain is None:
            return Cuts(heldout_share=float(Domain.model_fields["heldout_share"].default))
        domain = load_domain(self.domain)
        return Cuts(domain.heldout_share, domain.filter.max_benchmark_distance)
