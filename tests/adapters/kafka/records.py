"""Records as they are fetched, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NOON_MS = 1_741_147_200_000  # 2025-03-05T04:00:00Z, noon in Wuhan


@dataclass(frozen=True)
class FakeRecord:
    value: bytes | None = b"{}"
    key: bytes | None = b"420100"
    offset: int = 0
    timestamp: int = NOON_MS
    headers: Sequence[tuple[str, bytes]] = ()
