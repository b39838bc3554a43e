"""What a run found: figures in sections, some with an aim, as a table for people and as JSON for machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure should reach: at least `bound`, or at most."""

    bound: float
    at_most: bool = False

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {number(self.bound)}"

    def outcome(self, value: float) -> str:
        """By how many percent of the bound it is met or missed."""
        met = value <= self.bound if self.at_most else value >= self.bound
        return f"{'met' if met else 'MISSED'} by {abs(value / self.bound - 1) * 100:.0f} %"


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    unit: str
    aim: Aim | None = None

    def cells(self) -> tuple[str, str, str, str]:
        """Name, value with unit, aim and outcome, as they are shown."""
        if self.aim is None:
            return self.name, f"{number(self.value)} {self.unit}", "", ""
        return self.name, f"{number(self.value)} {self.unit}", str(self.aim), self.aim.outcome(self.value)


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of one benchmark; `notes` say what they rest on."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One run. `machine` says where and when, `skipped` what was left out and what to install for it."""

    machine: dict[str, str]
    quick: bool
    sections: tuple[Section, ...]
    skipped: tuple[str, ...] = ()

    def as_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self)) + b"\n"

    def text(self) -> Iterator[str]:
        """The report for people, line by line."""
        for name, value in self.machine.items():
            yield f"{name:12}{value}"
        if self.quick:
            yield "a quick run: it shows that everything runs, its figures mean nothing"
        for section in self.sections:
            yield from ("", *section_text(section))
        for line in self.skipped:
            yield from ("", line)


def report_of(data: bytes) -> Report:
    """The report of its JSON. Raises ValueError."""
    return msgspec.json.decode(data, type=Report)


def section_text(section: Section) -> Iterator[str]:
    """A section as an aligned table."""
    rows = [figure.cells() for figure in section.figures]
    name, value, aim = (max((len(row[column]) for row in rows), default=0) for column in range(3))
    yield section.title
    for row in rows:
        yield f"  {row[0]:{name}}  {row[1]:>{value}}  {row[2]:{aim}}  {row[3]}".rstrip()
    for note in section.notes:
        yield f"  · {note}"


def number(value: float) -> str:
    """A figure with about three significant digits, in full from a thousand on."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def quantile(ordered: list[float], share: float) -> float:
    """The smallest of some ordered values that at least this share of them does not exceed. Raises on no values."""
    rank = -(-len(ordered) * share // 1)  # rounded up
    return ordered[max(int(rank), 1) - 1]


def median(values: list[float]) -> float:
    return quantile(sorted(values), 0.5)
