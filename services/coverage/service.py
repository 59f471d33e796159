"""coverage: outcome -> coverage

Counts what the candidates of each entity came to, and says where more searching pays. Safe to replay: counts are a
function of the `outcome` log, in which a candidate counts once, and an entity's newest record replaces its older ones.
"""

from __future__ import annotations

import sys
import time

from entityflow.admin import Admin
from entityflow.domain import Limits, load_domain
from entityflow.settings import load_settings
from entityflow.stage import Shell
from services.coverage.judging import Judging
from services.coverage.settings import CoverageSettings
from services.coverage.yields import Target


def make_shell(settings: CoverageSettings, target: Target) -> Shell:
    shell = Shell("coverage", settings)
    admin = Admin(settings)

    def handler(partition: int, _topic_uuid: str) -> Judging:
        place = ("outcome", partition)
        first = admin.starts([place])[place]
        judged = admin.committed("coverage", "outcome").get(partition, 0)
        return Judging(first, judged, target, settings.coverage_quiet_seconds, time.monotonic)

    shell.batch("outcome", handler, max_records=settings.coverage_batch_records)
    return shell


def target_of(settings: CoverageSettings) -> Target:
    """What settings say goes before what the domain says. Without a domain nothing is searched for: no rounds."""
    domain = load_domain(settings.domain) if settings.domain else None
    limits = domain.limits if domain else Limits()
    pairs, rounds = settings.coverage_pairs_per_entity, settings.coverage_rounds
    return Target(
        pairs=limits.pairs_per_entity if pairs is None else pairs,
        rounds=(domain.queries.rounds if domain else 0) if rounds is None else rounds,
    )


def main() -> None:
    settings = load_settings(CoverageSettings)
    sys.exit(make_shell(settings, target_of(settings)).run())


if __name__ == "__main__":
    main()
