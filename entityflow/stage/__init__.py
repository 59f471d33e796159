"""The one shell around every service: source, map, batch and table over Kafka.

No other code polls, commits or dead-letters. A record ends in one of three ways: results, `Rejected` (a dead letter,
awaited), or `Retryable` (tried again while the stage keeps polling); anything else is a bug and ends the process
uncommitted. Nothing is committed before what it led to is acknowledged; committed is the longest finished prefix.
"""

from entityflow.stage.messages import Batch, BatchHandler, Message, Received, Send
from entityflow.stage.shell import Shell
from entityflow.stage.source import produce_all
from entityflow.stage.table import Table, read_messages, read_topic

__all__ = [
    "Batch",
    "BatchHandler",
    "Message",
    "Received",
    "Send",
    "Shell",
    "Table",
    "produce_all",
    "read_messages",
    "read_topic",
]
