"""topics.yaml as Strimzi's KafkaTopic resources: `python -m entityflow.kubernetes > k8s/base/topics/topics.yaml`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML

from entityflow.topics import DAY_MS, DLQ_MAX_MESSAGE_BYTES, DLQ_RETENTION_DAYS, dead_letter_topics, load_topics

API = "kafka.strimzi.io/v1"
CLUSTER = "entityflow"


def kafka_topics() -> Iterator[dict[str, Any]]:
    """One resource for each topic and each dead-letter topic, in the order that data flows."""
    for topic in load_topics().values():
        yield _resource(topic.name, topic.partitions, topic.configuration(small=False))
    for name, partitions in dead_letter_topics():
        configuration = {
            "cleanup.policy": "delete",
            "retention.ms": str(DLQ_RETENTION_DAYS * DAY_MS),
            "max.message.bytes": str(DLQ_MAX_MESSAGE_BYTES),
        }
        yield _resource(name, partitions, configuration)


def _resource(name: str, partitions: int, configuration: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": "KafkaTopic",
        "metadata": {"name": name, "labels": {"strimzi.io/cluster": CLUSTER}},
        "spec": {
            "partitions": partitions,
            "replicas": 3,
            "config": {**configuration, "min.insync.replicas": "2"},
        },
    }


def main() -> None:
    sys.stdout.write("# Made by `python -m entityflow.kubernetes` from schemas/topics.yaml; a test compares.\n")
    writer = YAML()
    writer.default_flow_style = False
    writer.explicit_start = True
    for resource in kafka_topics():
        writer.dump(resource, sys.stdout)


if __name__ == "__main__":
    main()
