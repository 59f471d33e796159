"""The small service of shell_app.py on the Faust stage, run as a process of its own by test_faust_stage.py."""

import sys

from shell_app import ask  # this file is run as a program: its folder is on the path

from entityflow.faust_stage import FaustStage
from entityflow.settings import load_settings


def main() -> int:
    stage = FaustStage("query_builder", load_settings())
    stage.map("entity", ask, concurrency=50)
    return stage.run()


if __name__ == "__main__":
    sys.exit(main())
