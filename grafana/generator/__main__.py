"""Writes the dashboards: `python -m grafana.generator [--console ADDRESS] [--runbooks ADDRESS] [--out FOLDER]`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from grafana.generator.files import written
from grafana.generator.frame import Addresses

FOLDER: Final = Path(__file__).resolve().parent.parent / "dashboards"


def main() -> None:
    """Replaces what is in the folder's zh/ and en/."""
    parser = argparse.ArgumentParser(prog="python -m grafana.generator", description="Writes the dashboards.")
    given = Addresses()
    parser.add_argument("--console", default=given.console, help="where cases are decided (default: %(default)s)")
    parser.add_argument("--runbooks", default=given.runbooks, help="where docs/runbooks is (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder (default: %(default)s)")
    asked = parser.parse_args()
    for name, text in written(Addresses(asked.console.rstrip("/"), asked.runbooks.rstrip("/"))).items():
        path: Path = asked.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
