"""Symbols (符号): numbers that stand for texts and wide numbers, so that windows hold 8 bytes for a value of any
length.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any


class Symbols:
    """A table of values in use, each counted: a number is free again when its last entry is forgotten."""

    __slots__ = ("_counts", "_free", "_numbers", "_values")

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._values: list[Hashable] = []
        self._counts: list[int] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def take(self, value: Hashable) -> int:
        """The number of a value, counting one more use of it."""
        number = self._numbers.get(value)
        if number is not None:
            self._counts[number] += 1
            return number
        if self._free:
            number = self._free.pop()
            self._values[number], self._counts[number] = value, 1
        else:
            number = len(self._values)
            self._values.append(value)
            self._counts.append(1)
        self._numbers[value] = number
        return number

    def number(self, value: Hashable) -> int | None:
        """The number of a value in use; `None` if it is not."""
        return self._numbers.get(value)

    def release(self, number: int) -> None:
        """Counts one use less."""
        self._counts[number] -= 1
        if not self._counts[number]:
            del self._numbers[self._values[number]]
            self._values[number] = None
            self._free.append(number)

    def of(self, numbers: Iterable[int]) -> list[Any]:
        """The values of numbers in use."""
        values = self._values
        return [values[number] for number in numbers]
