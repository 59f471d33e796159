"""Which files a shard of the `shard` topic has: its manifest says, not the event."""

from __future__ import annotations

from entityflow.records import Shard
from entityflow.shards import decode_manifest, manifest_key_of
from services.trainer.ledger import ShardRef
from services.trainer.store import Store


class ManifestFiles:
    """Reads the manifest of a shard's version from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, shard: Shard) -> ShardRef:
        """Raises Missing where the version is there no more, ValueError where its manifest names no tar."""
        manifest = decode_manifest(self._store.get(manifest_key_of(shard.shard_id, shard.version)))
        if manifest.tar is None:
            raise ValueError(f"{manifest.key} has {shard.count} samples and no tar")
        return ShardRef(
            shard_id=shard.shard_id,
            version=shard.version,
            tar=manifest.tar.key,
            sha256=manifest.tar.sha256,
            heldout_tar=manifest.heldout.key if manifest.heldout else None,
            heldout_sha256=manifest.heldout.sha256 if manifest.heldout else None,
        )
