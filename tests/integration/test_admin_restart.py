"""Whoever asks the broker for offsets goes on asking after it was started anew."""

import os
import signal

from entityflow.admin import Admin, create_topics
from entityflow.embedded.supervisor import Stack
from entityflow.settings import load_settings
from tests.waiting import eventually


def test_offsets_are_told_after_a_restart_of_the_broker(own_stack: Stack) -> None:
    values = own_stack.up(only=("kafka",))
    settings = load_settings(**{name.removeprefix("ENTITYFLOW_").lower(): value for name, value in values.items()})
    create_topics(settings)
    admin = Admin(settings)
    before = admin.ends([("url", 0)]), admin.committed("fetcher", "url")

    (pid,) = [one.pid for one in own_stack.status() if one.name == "kafka"]
    os.kill(pid or 0, signal.SIGKILL)
    eventually(lambda: "running" not in {one.state for one in own_stack.status()})
    own_stack.up(only=("kafka",))

    assert (admin.ends([("url", 0)]), admin.committed("fetcher", "url")) == before
    admin.delete_up_to({("url", 0): 0})
