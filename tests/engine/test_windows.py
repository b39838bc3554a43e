"""The entries of one key, however many, against a naive list of them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treasury_watch.engine import blocks, windows
from treasury_watch.engine.blocks import Blocks
from treasury_watch.engine.windows import (
    add_entry,
    add_time,
    beside,
    count,
    cut_times,
    cut_values,
    greatest,
    held,
    least,
    mean,
    packed_of,
    packed_since,
    take_out,
    total,
    trim,
)

LARGE = 10**18 - 1  # fen: the largest amount of the contract


@dataclass
class Key:
    """One key of a series, and beside it a plain list of what it should hold."""

    keeps: bool
    series: dict[Any, Any] = field(default_factory=dict)
    naive: list[tuple[int, int]] = field(default_factory=list)  # (time, value) in order, ties as they came

    def add(self, us: int, value: int) -> None:
        held = self.series.get("k")
        if held is None:
            self.series["k"] = beside(us, value) if self.keeps else us
        elif self.keeps:
            add_entry(self.series, "k", held, us, value)
        else:
            add_time(self.series, "k", held, us)
        self.naive.append((us, value if self.keeps else 0))
        self.naive.sort(key=lambda entry: entry[0])

    def remove(self, us: int, value: int) -> None:
        """Takes out the last entry with that time and value."""
        value = value if self.keeps else 0
        at = max(at for at, entry in enumerate(self.naive) if entry == (us, value))
        del self.naive[at]
        assert take_out(self.series, "k", us, value, self.keeps)
        self.check()

    def trim(self, before: int) -> None:
        """Forgets: nothing that counts, everything else but what shares a block with an entry that counts."""
        if not self.naive:
            return
        forgotten = trim(self.series, "k", before, self.keeps)
        gone = len(self.naive) - (count(self.series["k"], self.keeps) if self.series else 0)
        assert all(us < before for us, _ in self.naive[:gone])
        if self.keeps:
            assert list(forgotten) == [value for _, value in self.naive[:gone]]
        del self.naive[:gone]
        self.check()
        left = sum(us < before for us, _ in self.naive)
        assert left < len(self.naive) or not left
        assert left <= blocks.BLOCK

    def ask(self, after: int, upto: int, own: int | None) -> None:
        values = [value for us, value in self.naive if after < us <= upto]
        entries = self.series.get("k")
        if not self.keeps:
            assert len(cut_times(entries, after, upto)) == len(values)
            return
        cut = cut_values(entries, after, upto)
        assert len(cut) == len(values)
        assert sorted(cut) == sorted(values)
        everything = [*values, *([] if own is None else [own])]
        assert total(cut, own or 0) == sum(everything)
        assert least(cut, own) == min(everything, default=None)
        assert greatest(cut, own) == max(everything, default=None)
        assert mean(cut, own) == (Fraction(sum(everything), len(everything)) if everything else None)

    def check(self) -> None:
        """The same entries, in the same order, and each form that holds them says the same."""
        if not self.naive:
            assert self.series == {}
            return
        entries = self.series["k"]
        packed = self.packed(self.naive)
        assert packed_of(entries, self.keeps) == packed
        assert count(entries, self.keeps) == len(self.naive)
        again = held(packed[:], self.keeps)
        assert packed_of(again, self.keeps) == packed
        if isinstance(entries, Blocks):
            assert all(0 < len(block) <= blocks.BLOCK * (1 + self.keeps) for block in entries.blocks)

    def packed(self, entries: list[tuple[int, int]]) -> array[int]:
        return array("q", [us for us, _ in entries] + [value for _, value in entries] * self.keeps)


times = st.integers(-4, 12)
values = st.one_of(st.integers(-3, 3), st.sampled_from([LARGE, -LARGE, 2**63 - 1, -(2**63)]))
steps = st.one_of(
    st.tuples(st.just("add"), times, values),
    st.tuples(st.just("add"), times, values),
    st.tuples(st.just("add many"), times, st.integers(2, 9)),
    st.tuples(st.just("remove"), st.integers(0, 100), st.none()),
    st.tuples(st.just("trim"), times, st.none()),
    st.tuples(st.just("ask"), st.tuples(times, times).map(sorted), st.one_of(st.none(), values)),
)


@pytest.mark.parametrize("keeps", [True, False], ids=["values", "times only"])
@pytest.mark.parametrize("block", [2, 4, 512])
@settings(max_examples=120, deadline=None)
@given(steps=st.lists(steps, max_size=40))
def test_a_key_says_what_a_plain_list_says(block: int, keeps: bool, steps: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", block)
        patch.setattr(windows, "BLOCK", block)
        key = Key(keeps)
        for step, first, second in steps:
            match step:
                case "add":
                    key.add(first, second)
                case "add many":
                    for number in range(second):
                        key.add(first, number)
                case "remove" if key.naive:
                    key.remove(*key.naive[first % len(key.naive)])
                case "trim":
                    key.trim(first)
                case "ask":
                    key.ask(*first, second)
        key.check()
        for since in (-5, 0, 5, 13):
            entries = key.series.get("k")
            if entries is not None:
                expected = key.packed([entry for entry in key.naive if entry[0] >= since])
                assert packed_since(entries, since, keeps) == expected
        for after in range(-5, 13):
            key.ask(after, after + 5, None)
            key.ask(after, 12, None)


# --- cases ---


def key_of(*entries: tuple[int, int], keeps: bool = True) -> Key:
    key = Key(keeps)
    for us, value in entries:
        key.add(us, value)
    return key


@pytest.mark.parametrize("size", [1, 2, 600], ids=["one", "packed", "blocks"])
def test_a_window_leaves_out_its_start_and_includes_its_end(size: int) -> None:
    key = key_of(*((1000 + number, 1) for number in range(size)))
    first, last = 1000, 999 + size
    entries = key.series["k"]
    assert total(cut_values(entries, first - 1, last), 0) == size
    assert total(cut_values(entries, first, last), 0) == size - 1
    assert total(cut_values(entries, first - 1, last - 1), 0) == size - 1
    assert total(cut_values(entries, last, last + 10), 0) == 0


def test_nothing_is_held_under_a_key_that_was_never_used() -> None:
    assert len(cut_values(None, 0, 10)) == len(cut_times(None, 0, 10)) == 0
    assert mean(cut_values(None, 0, 10), None) is None
    assert mean(cut_values(None, 0, 10), 3) == 3


@pytest.mark.parametrize("size", [1, 12, 1500])
def test_sums_go_beyond_64_bits(size: int) -> None:
    for value in (LARGE, -LARGE):
        entries = key_of(*((number, value) for number in range(size))).series["k"]
        cut = cut_values(entries, -1, size)
        assert total(cut, value) == (size + 1) * value
        assert mean(cut, value) == value
        assert (least(cut, None), greatest(cut, None)) == (value, value)


def test_a_mean_is_an_exact_fraction() -> None:
    entries = key_of((1, 1), (2, 1), (3, 2)).series["k"]
    assert mean(cut_values(entries, 0, 3), None) == Fraction(4, 3)


def test_entries_of_one_time_fill_several_blocks_and_stay_together() -> None:
    key = key_of(*((7, number) for number in range(1300)), (6, -1), (8, -2))
    assert isinstance(key.series["k"], Blocks)
    assert len(cut_values(key.series["k"], 6, 7)) == 1300
    assert len(cut_values(key.series["k"], 7, 8)) == 1
    for value in [*range(1299, 1199, -1), *range(400, 500), 0]:
        key.remove(7, value)
    assert not take_out(key.series, "k", 7, 1299, True)
    assert not take_out(key.series, "k", 5, -1, True)
    assert not take_out(key.series, "other", 7, 1, True)


def test_taking_everything_back_leaves_no_key() -> None:
    key = key_of(*((number % 10, number) for number in range(1100)))
    for us, value in [*key.naive]:
        assert take_out(key.series, "k", us, value, True)
    assert key.series == {}


def test_the_least_and_the_greatest_are_found_again_after_they_were_taken_back() -> None:
    key = key_of(*((number, 5) for number in range(700)))
    key.add(350, -LARGE)
    key.add(351, LARGE)
    key.remove(350, -LARGE)
    key.remove(351, LARGE)
    cut = cut_values(key.series["k"], 0, 699)
    assert (least(cut, None), greatest(cut, None)) == (5, 5)
    assert total(cut, 0) == 5 * 699


@pytest.mark.parametrize("value", [4, 6])
def test_a_new_extreme_in_the_middle_of_many_is_found(value: int) -> None:
    key = key_of(*((number, 5) for number in range(3 * blocks.BLOCK)))
    key.add(blocks.BLOCK, value)
    cut = cut_values(key.series["k"], -1, 3 * blocks.BLOCK)
    assert (least(cut, None), greatest(cut, None)) == (min(value, 5), max(value, 5))


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("size", [1, 100, 513, 700, 3000])
def test_a_key_whose_entries_have_all_expired_is_forgotten(size: int, keeps: bool) -> None:
    series = key_of(*((number, 1) for number in range(size)), keeps=keeps).series
    trim(series, "k", size, keeps)
    assert series == {}


@pytest.mark.parametrize("size", [1, 100, 700])
def test_an_entry_at_the_boundary_is_kept(size: int) -> None:
    series = key_of(*((number, 1) for number in range(size))).series
    trim(series, "k", size - 1, True)
    assert count(series["k"], True) == 1
