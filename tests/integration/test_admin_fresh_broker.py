"""A broker in its first seconds answers questions about groups with errors; asking must survive them."""

from __future__ import annotations

import os
import subprocess
import sys

from entityflow.embedded.supervisor import Stack

ASKING = """
from entityflow.admin import Admin, create_topics
from entityflow.settings import load_settings
for prefix in ("first", "second"):
    settings = load_settings(prefix=prefix)
    create_topics(settings)
    print(Admin(settings).committed("fetcher", "url"))
"""


def test_a_broker_that_just_started_is_asked_for_offsets_of_groups_nobody_coordinates_yet(own_stack: Stack) -> None:
    environment = own_stack.up(only=("kafka",))

    # in a process of its own: the fault was one of the C client, which takes its process with it
    asked = subprocess.run(
        [sys.executable, "-c", ASKING], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )

    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.splitlines() == [str(dict.fromkeys(range(4), 0))] * 2
