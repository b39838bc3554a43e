"""Blocks (分块): the entries of a large key, in packed arrays with their sums, so that no question walks through all of
them.

A packed array is an `array('q')`: n times (microseconds) in order, followed, where values are kept, by n values.
Entries with equal times stand in the order in which they were added.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator

BLOCK = 512  # entries; a packed array up to this size is cheaper to shift than to divide


def insert(packed: array[int], us: int, value: int, keeps: bool) -> None:
    """Adds an entry to a packed array, after those of the same time."""
    if keeps:
        n = len(packed) >> 1
        at = n if not n or packed[n - 1] <= us else bisect_right(packed, us, 0, n)
        packed.insert(at, us)
        packed.insert(n + 1 + at, value)
    else:
        packed.insert(bisect_right(packed, us), us)


def remove(packed: array[int], us: int, value: int, keeps: bool) -> bool:
    """Removes from a packed array the entry with that time and value that was added last; whether there was one."""
    n = len(packed) >> 1 if keeps else len(packed)
    at = bisect_right(packed, us, 0, n) - 1
    while at >= 0 and packed[at] == us:
        if not keeps or packed[n + at] == value:
            if keeps:
                del packed[n + at]
            del packed[at]
            return True
        at -= 1
    return False


class Blocks:
    """The entries of a large key, as consecutive packed arrays of at most `BLOCK` entries."""

    __slots__ = ("blocks", "firsts", "greatest", "keeps", "least", "sums")

    def __init__(self, packed: array[int], keeps: bool) -> None:
        """Takes over a packed array; `keeps` says whether it holds values as well as times."""
        self.keeps = keeps
        self.blocks: list[array[int]] = []
        self.firsts: list[int] = []
        self.sums: list[int] = []
        self.least: list[int] = []
        self.greatest: list[int] = []
        n = len(packed) // 2 if keeps else len(packed)
        for start in range(0, n, BLOCK // 2):
            stop = min(start + BLOCK // 2, n)
            block = packed[start:stop] + packed[n + start : n + stop] if keeps else packed[start:stop]
            self._put(len(self.blocks), block)

    def __len__(self) -> int:
        return sum(map(len, self.blocks)) // (2 if self.keeps else 1)

    def _put(self, at: int, block: array[int]) -> None:
        values = block[len(block) // 2 :] if self.keeps else (0,)
        self.blocks.insert(at, block)
        self.firsts.insert(at, block[0])
        self.sums.insert(at, sum(values))
        self.least.insert(at, min(values))
        self.greatest.insert(at, max(values))

    def _drop(self, at: int) -> array[int]:
        for column in (self.firsts, self.sums, self.least, self.greatest):
            del column[at]
        return self.blocks.pop(at)

    def position(self, us: int) -> tuple[int, int]:
        """Where the first entry later than `us` stands: block and offset in it (its length at the most)."""
        at = bisect_right(self.firsts, us) - 1
        if at < 0:
            return 0, 0
        block = self.blocks[at]
        return at, bisect_right(block, us, 0, len(block) // 2 if self.keeps else len(block))

    def insert(self, us: int, value: int) -> None:
        at, offset = self.position(us)
        block = self.blocks[at]
        insert(block, us, value, self.keeps)
        if offset == 0:
            self.firsts[at] = us
        if self.keeps:
            self.sums[at] += value
            self.least[at] = min(self.least[at], value)
            self.greatest[at] = max(self.greatest[at], value)
        n = len(block) // 2 if self.keeps else len(block)
        if n > BLOCK:
            self._drop(at)
            half = n // 2
            head, tail = (
                (block[:half] + block[n : n + half], block[half:n] + block[n + half :])
                if self.keeps
                else (block[:half], block[half:])
            )
            self._put(at, tail)
            self._put(at, head)

    def remove(self, us: int, value: int) -> bool:
        """Removes the entry with that time and value that was added last; whether there was one."""
        at, _ = self.position(us)
        while at >= 0 and self.blocks[at][-1 if not self.keeps else len(self.blocks[at]) // 2 - 1] >= us:
            if remove(self.blocks[at], us, value, self.keeps):
                block = self._drop(at)
                if block:
                    self._put(at, block)
                return True
            at -= 1
        return False

    def trim(self, before: int) -> list[array[int]]:
        """Drops blocks whose entries are all older than `before`, the last block excepted; what was dropped."""
        dropped = []
        while len(self.firsts) > 1 and self.firsts[1] < before:
            dropped.append(self._drop(0))
        return dropped

    def packed(self) -> array[int]:
        """All entries as one packed array."""
        times: array[int] = array("q")
        values: array[int] = array("q")
        for block in self.blocks:
            n = len(block) // 2 if self.keeps else len(block)
            times += block[:n]
            values += block[n:]
        return times + values


class Cut:
    """The entries of a `Blocks` with time in (after, upto], summarised without copying the blocks in between."""

    __slots__ = ("blocks", "ends", "inner")

    def __init__(self, blocks: Blocks, after: int, upto: int) -> None:
        self.blocks = blocks
        first, lo = blocks.position(after)
        last, hi = blocks.position(upto)
        if first == last:
            self.ends = [self._part(first, lo, max(lo, hi))]
            self.inner = slice(0, 0)
        else:
            self.ends = [self._part(first, lo, None), self._part(last, 0, hi)]
            self.inner = slice(first + 1, last)

    def _part(self, at: int, lo: int, hi: int | None) -> array[int]:
        block = self.blocks.blocks[at]
        if not self.blocks.keeps:
            return block[lo:hi]
        n = len(block) // 2
        return block[n + lo : n + (n if hi is None else hi)]

    def __len__(self) -> int:
        inner = sum(map(len, self.blocks.blocks[self.inner])) // (2 if self.blocks.keeps else 1)
        return inner + sum(map(len, self.ends))

    def __iter__(self) -> Iterator[int]:
        """The values, in no particular order."""
        for part in self.ends:
            yield from part
        for block in self.blocks.blocks[self.inner]:
            yield from block[len(block) // 2 :]

    def total(self) -> int:
        return sum(self.blocks.sums[self.inner]) + sum(map(sum, self.ends))

    def least(self, default: int | None) -> int | None:
        return min([*self.blocks.least[self.inner], *(min(part) for part in self.ends if part)], default=default)

    def greatest(self, default: int | None) -> int | None:
        return max([*self.blocks.greatest[self.inner], *(max(part) for part in self.ends if part)], default=default)
