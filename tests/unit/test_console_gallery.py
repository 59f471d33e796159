"""A picture of a shard, found by its id and read by its place; the newest clusters."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from entityflow.records import Amend, ShardInput
from entityflow.shards import Manifest, ShardObject
from services.console.clusters import Clusters
from services.console.gallery import Gallery
from tests.memory_objects import MemoryObjects


def stored(objects, key, content):
    objects.put(key, content)
    return ShardObject(key=key, bytes=len(content), sha256=key)


def shard(objects, start, pictures):
    """pictures: (key, bytes, held out), one behind the other in their tar."""
    tars, rows = {False: b"head", True: b"header"}, []
    for key, content, heldout in pictures:
        rows.append({"key": key, "offset": len(tars[heldout]), "bytes": len(content), "heldout": heldout})
        tars[heldout] += content
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), table)
    manifest = Manifest(
        shard_id=f"p000-{start:012d}",
        version=1,
        input=ShardInput(topic_uuid="u", partition=0, start=start, end=start + 9),
        count=1,
        heldout_count=1,
        tar=stored(objects, f"{start}.tar", tars[False]),
        heldout=stored(objects, f"{start}.heldout.tar", tars[True]),
        table=stored(objects, f"{start}.parquet", table.getvalue()),
        entities=1,
        schema_fingerprints=(),
        writer_version="1",
    )
    objects.put(manifest.key, manifest.encode())


def test_a_picture_is_read_from_its_place_in_a_shard():
    objects = MemoryObjects()
    shard(objects, 0, [("a" * 64, b"first", False), ("b" * 64, b"second", False), ("c" * 64, b"held", True)])
    gallery = Gallery(lambda: objects)

    assert gallery.picture("b" * 64) == b"second"
    assert gallery.picture("c" * 64) == b"held"
    assert gallery.picture("d" * 64) is None

    shard(objects, 10, [("d" * 64, b"later", False)])

    assert gallery.picture("d" * 64) == b"later"


def merge(canonical, copy=None):
    return Amend(
        image_id=canonical, kind="merge", candidate_id=f"{canonical}{copy}", duplicate_image_id=copy, distance=1
    )


def test_only_the_newest_clusters_are_held_and_those_with_copies_come_first():
    clusters = Clusters(2)
    for one in (merge("old", "x"), merge("a", "y"), merge("b"), Amend(image_id="c", kind="refilter")):
        clusters.take(one)

    assert [(one["image_id"], len(one["copies"])) for one in clusters.document()] == [("a", 1), ("b", 0)]
