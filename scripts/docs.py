"""Writes the pages that are made from code: the reasons, and the topics for Kubernetes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = {
    "entityflow.reasons_page": ROOT / "docs" / "reasons.md",
    "entityflow.kubernetes": ROOT / "k8s" / "base" / "topics" / "topics.yaml",
}


def main() -> None:
    for module, path in PAGES.items():
        made = subprocess.run([sys.executable, "-m", module], cwd=ROOT, check=True, capture_output=True, text=True)
        path.write_text(made.stdout)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
