"""The examples of commands that only read, or say what they would do, on a line where nothing has happened yet."""

import shlex
from concurrent.futures import ThreadPoolExecutor

from tests.integration.command import run_command
from tests.unit.test_cli_examples import CALLABLE, examples

# the rest start servers or services, need files of the user, or change what others would see
QUIET = (
    "report", "settings", "topics create", "topics list", "topics describe", "topics tail", "dlq list", "dlq replay",
    "retry", "forget", "seal", "shards list", "shards verify", "shards sweep", "shards rewrite", "benchmark list",
)  # fmt: skip
AT_ONCE = 4


def test_examples_do_what_they_say_on_an_empty_line(settings, tmp_path):
    def run(words: str) -> tuple[str, int, str]:
        (example,) = examples(CALLABLE[words].help or "")
        ran = run_command(settings, *shlex.split(example)[1:], folder=tmp_path)
        return words, ran.returncode, ran.stderr.partition("error:")[2]

    run("seal")  # makes the bucket
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(run, QUIET))

    assert found == [(words, 0, "") for words in QUIET]
