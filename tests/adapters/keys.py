"""Key pairs for tests, as their owners have them, and the settings that name their public halves."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from treasury_watch.adapters.approvals import Approvals
from treasury_watch.adapters.signatures import SigningKey, make_key_pair, public_file


class Office(NamedTuple):
    """An author, an approver, and a stranger; the private halves are in `folder` under these names."""

    folder: Path
    author: SigningKey
    approver: SigningKey
    stranger: SigningKey

    @property
    def approvals(self) -> Approvals:
        return Approvals(
            {
                "author": {self.author.id: self.author.public},
                "approver": {self.approver.id: self.approver.public},
            }
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            "TREASURY_WATCH_AUTHOR_KEYS": str(public_file(self.folder / "author")),
            "TREASURY_WATCH_APPROVER_KEYS": str(public_file(self.folder / "approver")),
        }


def office(folder: Path) -> Office:
    folder.mkdir(parents=True, exist_ok=True)
    return Office(folder, *(make_key_pair(folder / name) for name in ("author", "approver", "stranger")))
