"""How large the records of a partition are: the mean of its newest ones."""

from __future__ import annotations

import time

from confluent_kafka import KafkaError, TopicPartition

from entityflow.admin import Place
from entityflow.kafka import reader
from entityflow.settings import Settings
from entityflow.stage.raw import by_name

SAMPLE_RECORDS = 50
SAMPLE_SECONDS = 10.0
FRAMING_BYTES = 30  # of a record in a batch: lengths, deltas, and its share of the batch's own header


def mean_bytes(settings: Settings, place: Place, end: int) -> float:
    """Mean bytes of the last SAMPLE_RECORDS records before `end`, as they lie on disk; 0 where there is none."""
    consumer = reader(settings)
    sizes: list[int] = []
    due = time.monotonic() + SAMPLE_SECONDS
    try:
        start = max(0, end - SAMPLE_RECORDS)
        consumer.assign([TopicPartition(settings.topic_name(place[0]), place[1], start)])
        while time.monotonic() < due:
            for raw in consumer.consume(SAMPLE_RECORDS, 0.5):
                error = raw.error()
                if error is None:
                    headers = sum(len(name) + len(value) for name, value in by_name(raw.headers()).items())
                    sizes.append(len(raw.value() or b"") + len(raw.key() or b"") + headers + FRAMING_BYTES)
                elif error.code() in (KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET):
                    return _mean(sizes)
        return _mean(sizes)
    finally:
        consumer.close()


def _mean(sizes: list[int]) -> float:
    return sum(sizes) / len(sizes) if sizes else 0.0
