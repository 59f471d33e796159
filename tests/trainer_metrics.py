"""What a run of the trainer has noted."""

import json
from pathlib import Path


def steps_taken(out: Path) -> int:
    """Steps of training that a run has noted in its folder; its examinations are lines of their own."""
    file = out / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return sum(json.loads(line)["event"] == "step" for line in lines)
