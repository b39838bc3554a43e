"""What commands that judge a file of payments share: its labels, and the lines that were refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from treasury_watch.cli.console import failing_on, note
from treasury_watch.cli.files import SHOWN_REFUSALS

if TYPE_CHECKING:
    from treasury_watch.adapters.backtest import Labels
    from treasury_watch.adapters.replay import Refused


def labels_of(path: Path) -> Labels:
    """The labels of a file."""
    from treasury_watch.adapters.backtest import BadLabels, read_labels
    from treasury_watch.adapters.jsonl import Lines, UnreadableFile

    with failing_on(UnreadableFile, BadLabels), Lines(path) as lines:
        return read_labels(lines, lines.name)


class Refusals:
    """The first few refused lines to stderr, and how many more there are."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, refused: Refused) -> None:
        self._count += 1
        if self._count <= SHOWN_REFUSALS:
            note(str(refused))

    def close(self) -> None:
        if self._count > SHOWN_REFUSALS:
            note(f"… and {self._count - SHOWN_REFUSALS:,} more; `replay --dead-letters FILE` lists all")
