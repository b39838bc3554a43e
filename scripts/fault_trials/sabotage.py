"""A worker without one of its safeguards, to prove that the trials see what that does.

`python -m fault_trials.sabotage NAME`, in place of `python -m treasury_watch worker`. Only this process is changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

SABOTAGES: dict[str, tuple[str, Callable[[], None]]] = {}


def main() -> None:
    _, sabotage = SABOTAGES[sys.argv[1]]
    sabotage()
    from treasury_watch.cli import main as command

    sys.argv = ["treasury-watch", "worker"]
    command()


if __name__ == "__main__":
    main()
