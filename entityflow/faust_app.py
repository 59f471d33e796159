"""Faust as it loses nothing: its settings, and a consumer that commits what we say is finished.

Faust's defaults lose messages: an exception acknowledges its record, an acknowledgement out of order commits past what
is in flight, and an event left over from before a rebalance counts as done. `PrefixConsumer` decides instead of it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import CrashingSupervisor
from yarl import URL

from entityflow.errors import UserError
from entityflow.settings import Settings
from entityflow.topics import DLQ_MAX_MESSAGE_BYTES

COMMIT_SECONDS = 0.5
REQUEST_SECONDS = 60.0
MAX_MESSAGE_BYTES = DLQ_MAX_MESSAGE_BYTES
STREAM_BUFFER = 64  # records a stream holds ready; they are small in the topics that Faust reads

Committable = Callable[[TP], int | None]  # the next offset to commit of a partition


class LosslessApp(faust.App):
    """An app whose offsets are named by `committable`. It has no tables, so it needs no folder.

    notes: what lies beside a committed offset, by the topic's name on the broker.
    """

    committable: Committable
    notes: Mapping[str, str]

    def _new_transport(self) -> Any:
        transport = super()._new_transport()
        transport.Consumer = PrefixConsumer  # type: ignore[misc]
        return transport

    def _create_directories(self) -> None:
        return


class NotingThread(driver.AIOKafkaConsumerThread):
    """Faust commits offsets without a word beside them; ours carry the topic's uuid."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        plain, app = consumer.commit, self.app
        assert isinstance(app, LosslessApp)

        async def commit(offsets: Mapping[Any, Any]) -> None:
            await plain({tp: at._replace(metadata=app.notes[tp.topic]) for tp, at in offsets.items()})

        consumer.commit = commit
        return consumer


class PrefixConsumer(driver.Consumer):
    """Commits what the app's `committable` names, and never what Faust works out from acknowledgements."""

    def _new_consumer_thread(self) -> Any:
        return NotingThread(self, loop=self.loop, beacon=self.beacon)

    def _new_offset(self, tp: TP) -> int | None:
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        app = self.app
        assert isinstance(app, LosslessApp)
        return app.committable(tp)


def make_app(service: str, settings: Settings, committable: Committable, uuids: Mapping[str, str]) -> LosslessApp:
    """The lossless profile: at least once, raw bytes, no web server, no table, no topic made by Faust."""
    app = LosslessApp(
        settings.group_name(service),
        broker=[URL(f"kafka://{address.strip()}") for address in settings.kafka_bootstrap.split(",")],
        broker_credentials=_credentials(settings.kafka_security),
        broker_commit_interval=COMMIT_SECONDS,
        broker_session_timeout=settings.session_timeout_seconds,
        broker_heartbeat_interval=min(3.0, settings.session_timeout_seconds / 3),
        broker_request_timeout=max(REQUEST_SECONDS, 2 * settings.session_timeout_seconds),
        processing_guarantee="at_least_once",
        agent_supervisor=CrashingSupervisor,
        stream_buffer_maxsize=STREAM_BUFFER,
        stream_wait_empty=False,  # would wait for ever for a record that is not acknowledged
        consumer_auto_offset_reset="none",  # every start checks the committed offsets; what goes later crashes
        consumer_max_fetch_size=MAX_MESSAGE_BYTES,
        consumer_group_instance_id=settings.group_instance_id or None,  # "" would count as static
        producer_max_request_size=MAX_MESSAGE_BYTES,
        producer_acks=-1,
        topic_allow_declare=False,
        topic_disable_leader=True,
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,
        autodiscover=False,
    )
    app.committable = committable
    app.notes = {settings.topic_name(topic): uuid for topic, uuid in uuids.items()}
    return app


def raw_topic(app: faust.App, name: str) -> Any:
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def _credentials(security: dict[str, str]) -> Any:
    """Faust's form of the librdkafka properties that are used for TLS and SASL."""
    protocol = security.get("security.protocol", "plaintext").lower()
    if protocol == "plaintext":
        return None
    context = None
    if "ssl" in protocol:
        context = ssl.create_default_context(cafile=security.get("ssl.ca.location"))
        if "ssl.certificate.location" in security:
            context.load_cert_chain(security["ssl.certificate.location"], security.get("ssl.key.location"))
    if protocol == "ssl":
        return faust.SSLCredentials(context)
    if protocol in ("sasl_ssl", "sasl_plaintext"):
        return faust.SASLCredentials(
            username=security.get("sasl.username"),
            password=security.get("sasl.password"),
            mechanism=security.get("sasl.mechanism", security.get("sasl.mechanisms", "SCRAM-SHA-512")),
            ssl_context=context,
        )
    raise UserError(f"security.protocol={protocol!r} in ENTITYFLOW_KAFKA_SECURITY", hint="plaintext, ssl, sasl_ssl")
