"""Windows (窗口): the entries of one key in order of event time, and exact aggregates over any stretch of them.

Keys are many, and most hold one entry. So what is held under a key is, by how many entries there are: a single int (the
entry's time in microseconds or, where values are kept, time and value side by side), a packed array, or `Blocks` of
such arrays. Nothing is sampled or rounded. Entries with equal times stand in the order in which they were added.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from fractions import Fraction

from treasury_watch.engine.blocks import BLOCK, Blocks, Cut, insert, remove
from treasury_watch.rules.values import simplest

Keyed = dict[str | bytes, "int | array[int] | Blocks"]

BIAS = 1 << 63  # a value of 64 bits plus this is not negative: it fits beside a time
_MASK = (1 << 64) - 1
_NONE: array[int] = array("q")
_ONE: array[int] = array("q", (0,))  # one entry without a value


def beside(us: int, value: int) -> int:
    """The int that holds one entry: its time in the upper bits, its value in the lower 64."""
    return us << 64 | value + BIAS


def value_in(entry: int) -> int:
    """The value in the int that `beside` makes."""
    return (entry & _MASK) - BIAS


def packed_of(entries: int | array[int] | Blocks, keeps: bool) -> array[int]:
    """Entries as one packed array, however they are held; the array itself if it is one."""
    if isinstance(entries, int):
        return array("q", (entries >> 64, (entries & _MASK) - BIAS) if keeps else (entries,))
    return entries if isinstance(entries, array) else entries.packed()


def held(packed: array[int], keeps: bool) -> int | array[int] | Blocks:
    """A packed array of one entry or more in the form in which so many are held."""
    n = len(packed) >> 1 if keeps else len(packed)
    if n == 1:
        return beside(packed[0], packed[1]) if keeps else packed[0]
    return packed if n <= BLOCK else Blocks(packed, keeps)


def count(entries: int | array[int] | Blocks, keeps: bool) -> int:
    """How many entries there are."""
    if isinstance(entries, int):
        return 1
    return len(entries) >> 1 if isinstance(entries, array) and keeps else len(entries)


def cut_values(entries: int | array[int] | Blocks | None, after: int, upto: int) -> array[int] | Cut:
    """The values of the entries with time in (after, upto]; to be read by the functions below."""
    if entries is None:
        return _NONE
    if isinstance(entries, int):
        return array("q", ((entries & _MASK) - BIAS,)) if after < entries >> 64 <= upto else _NONE
    if isinstance(entries, array):
        n = len(entries) >> 1
        lo = n + (0 if entries[0] > after else bisect_right(entries, after, 0, n))
        hi = n + (n if entries[n - 1] <= upto else bisect_right(entries, upto, 0, n))
        return entries[lo:hi]
    return Cut(entries, after, upto)


def cut_times(entries: int | array[int] | Blocks | None, after: int, upto: int) -> array[int] | Cut:
    """The same for entries that keep no values: only how many there are means something."""
    if entries is None:
        return _NONE
    if isinstance(entries, int):
        return _ONE if after < entries <= upto else _NONE
    if isinstance(entries, array):
        lo = 0 if entries[0] > after else bisect_right(entries, after)
        hi = len(entries) if entries[-1] <= upto else bisect_right(entries, upto)
        return entries[lo:hi]
    return Cut(entries, after, upto)


def total(part: array[int] | Cut, own: int) -> int:
    """The exact sum of a cut's values and one more."""
    return own + (sum(part) if isinstance(part, array) else part.total())


def least(part: array[int] | Cut, own: int | None) -> int | None:
    """The least of a cut's values and of one more, if there is one; missing (`None`) if there is none at all."""
    value = min(part, default=own) if isinstance(part, array) else part.least(own)
    return value if own is None or value is None or value < own else own


def greatest(part: array[int] | Cut, own: int | None) -> int | None:
    """The greatest of a cut's values and of one more, if there is one; missing (`None`) if there is none at all."""
    value = max(part, default=own) if isinstance(part, array) else part.greatest(own)
    return value if own is None or value is None or value > own else own


def mean(part: array[int] | Cut, own: int | None) -> int | Fraction | None:
    """The exact mean of a cut's values and of one more, if there is one; missing (`None`) if there is none at all."""
    n = len(part) + (own is not None)
    return simplest(Fraction(total(part, own or 0), n)) if n else None


def add_entry(series: Keyed, key: str | bytes, entries: int | array[int] | Blocks, us: int, value: int) -> None:
    """Adds an entry with a value to what is held under a key; the first is the int that `beside` makes of it."""
    if isinstance(entries, array):
        n = len(entries) >> 1
        if n < BLOCK and us >= entries[n - 1]:  # most come in order
            entries.insert(n, us)
            entries.append(value)
        else:
            _add(series, key, entries, us, value, True)
    elif isinstance(entries, Blocks):
        entries.insert(us, value)
    elif us >= entries >> 64:
        series[key] = array("q", (entries >> 64, us, (entries & _MASK) - BIAS, value))
    else:
        _add(series, key, entries, us, value, True)


def add_time(series: Keyed, key: str | bytes, entries: int | array[int] | Blocks, us: int) -> None:
    """Adds an entry without a value to what is held under a key; the first is its time."""
    if isinstance(entries, array):
        if len(entries) < BLOCK and us >= entries[-1]:  # most come in order
            entries.append(us)
        else:
            _add(series, key, entries, us, 0, False)
    elif isinstance(entries, Blocks):
        entries.insert(us, 0)
    elif us >= entries:
        series[key] = array("q", (entries, us))
    else:
        _add(series, key, entries, us, 0, False)


def _add(series: Keyed, key: str | bytes, entries: int | array[int], us: int, value: int, keeps: bool) -> None:
    packed = packed_of(entries, keeps)
    insert(packed, us, value, keeps)
    if isinstance(entries, int):
        series[key] = packed
    elif count(packed, keeps) > BLOCK:
        series[key] = Blocks(packed, keeps)


def take_out(series: Keyed, key: str | bytes, us: int, value: int, keeps: bool) -> bool:
    """Removes the entry with that time and value (0 where none are kept) that was added last; whether there was one."""
    entries = series.get(key)
    if entries is None:
        return False
    if isinstance(entries, Blocks) and len(entries.firsts) > 1:
        return entries.remove(us, value)
    packed = packed_of(entries, keeps)
    if not remove(packed, us, value, keeps):
        return False
    if packed:
        series[key] = held(packed, keeps)
    else:
        del series[key]
    return True


def trim(series: Keyed, key: str | bytes, before: int, keeps: bool) -> array[int]:
    """Forgets a key's entries older than `before` (of a large key: whole blocks); the values forgotten."""
    entries = series[key]
    forgotten: array[int] = array("q")
    if isinstance(entries, Blocks):
        for block in entries.trim(before):
            if keeps:
                forgotten += block[len(block) >> 1 :]
        if len(entries.firsts) > 1:
            return forgotten
    packed = packed_of(entries, keeps)
    n = count(packed, keeps)
    gone = bisect_right(packed, before - 1, 0, n)
    if keeps:
        forgotten += packed[n : n + gone]
    if gone == n:
        del series[key]
    else:
        series[key] = held(packed[gone:n] + packed[n + gone :], keeps)
    return forgotten


def packed_since(entries: int | array[int] | Blocks, since: int, keeps: bool) -> array[int]:
    """The entries not older than `since` as one packed array: the same for the same entries, however they are held."""
    packed = packed_of(entries, keeps)
    n = count(packed, keeps)
    lo = bisect_right(packed, since - 1, 0, n)
    return packed[lo:n] + packed[n + lo :]
