"""What the page shows: counts, and the newest pairs; a value that the records of the topics are folded into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from entityflow.outcomes import Endings
from entityflow.progress import Progress, readers
from entityflow.records import Amend, Entity, FilteredPair, Model, Outcome, Record, Shard
from entityflow.topics import load_topics
from services.console.clusters import Clusters

SCHEMA = 1


@dataclass(frozen=True)
class Picture:
    """One of the newest pairs, and when it came."""

    at_ms: int
    payload: bytes
    shown: Mapping[str, Any]


class View:
    """Folds records as they come. Only the newest `pictures` pairs are held, so that memory does not grow with them."""

    def __init__(self, pictures: int, clusters: int = 0) -> None:
        self._most = pictures
        self.clusters = Clusters(clusters)
        self._endings = Endings()
        self._labels: dict[str, str] = {}
        self._shards: dict[str, Shard] = {}
        self._model: Model | None = None
        self._pictures: dict[str, Picture] = {}
        self._progress: Progress | None = None

    def take(self, record: Record | None, at_ms: int) -> None:
        """A record, in any order, of `entity`, `outcome`, `shard`, `model`, `amend` or `filtered-pair`."""
        match record:
            case Amend():
                self.clusters.take(record)
            case Outcome():
                self._endings.add(record)
            case Entity():
                self._labels[record.id] = record.label
            case FilteredPair():
                self._show(record, at_ms)
            case Shard():
                self._shards[record.shard_id] = record
            case Model():
                self._model = record

    def look(self, progress: Progress) -> None:
        self._progress = progress

    def _show(self, pair: FilteredPair, at_ms: int) -> None:
        self._pictures[pair.image_id] = Picture(at_ms, pair.payload, _shown(pair))
        if len(self._pictures) > self._most:
            oldest = min(self._pictures, key=lambda image_id: self._pictures[image_id].at_ms)
            del self._pictures[oldest]

    def payload(self, image_id: str) -> bytes | None:
        picture = self._pictures.get(image_id)
        return picture.payload if picture else None

    def counts(self) -> dict[str, int]:
        """Candidates by how they ended."""
        return self._endings.counts

    def document(self) -> dict[str, Any]:
        """Everything that the page shows, newest pictures first."""
        return {
            "schema": SCHEMA,
            "topics": self._topics(),
            "outcomes": self._endings.counts,
            "accepted": self._endings.accepted,
            "merged": self._endings.merged,
            "dropped": self._endings.dropped,
            "entities": len(self._labels),
            "shards": self._counted_shards(),
            "model": self._shown_model(),
            "pictures": [self._named(picture.shown) for picture in self._newest_first()],
        }

    def _newest_first(self) -> list[Picture]:
        return sorted(self._pictures.values(), key=lambda picture: picture.at_ms, reverse=True)

    def _topics(self) -> list[dict[str, Any]]:
        if self._progress is None:
            return []
        written = dict.fromkeys(load_topics(), 0)
        for (topic, _), end in self._progress.ends.items():
            written[topic] += end
        left = self._progress.left
        groups = {topic: {g: left[g, t] for g, t in readers() if t == topic} for topic in written}
        return [{"topic": topic, "records": count, "left": groups[topic]} for topic, count in written.items()]

    def _counted_shards(self) -> dict[str, int]:
        shards = self._shards.values()
        return {
            "count": len(shards),
            "samples": sum(shard.count for shard in shards),
            "heldout": sum(shard.heldout_count for shard in shards),
        }

    def _shown_model(self) -> dict[str, Any] | None:
        if self._model is None:
            return None
        return {"version": self._model.version, "promoted": self._model.promoted, "metrics": self._model.metrics}

    def _named(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        names = [self._labels.get(entity, entity) for entity in shown["entities"]]
        return {**shown, "names": names}


def _shown(pair: FilteredPair) -> dict[str, Any]:
    return {
        "image_id": pair.image_id,
        "width": pair.width,
        "height": pair.height,
        "texts": [{"text": text.text, "kind": text.kind, "lang": text.lang} for text in pair.texts],
        "entities": [entity.id for entity in pair.entities],
        "sources": [{"url": source.url, "page_url": source.page_url} for source in pair.sources],
        "heldout": pair.heldout,
    }
