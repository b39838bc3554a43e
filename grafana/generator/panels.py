"""The panels that there are, as data; how they become Grafana's is in `drawing`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from grafana.generator.queries import Query
from grafana.generator.texts import Text, Words

Steps = tuple[tuple[float, str], ...]  # from this value on in this colour; green below the first


@dataclass(frozen=True)
class Named:
    """How a series or a value is called, and its colour where that means something."""

    title: Words
    color: str | None = None


@dataclass(frozen=True)
class Panel:
    """What every panel says of itself. `runbook` is a page of docs/runbooks without its ending."""

    title: Text
    description: Text
    unit: Words
    queries: tuple[Query, ...]
    thresholds: Steps = ()
    decimals: int | None = None
    runbook: str | None = None


@dataclass(frozen=True)
class Stat(Panel):
    """One number, large. `values` says what certain numbers mean."""

    values: Mapping[str, Named] = field(default_factory=dict)


@dataclass(frozen=True)
class Lines(Panel):
    """Series over time. `names` gives series of these names a title and a colour; `background` is a series of 0 and 1
    that shades where it is 1. `interval` is the least distance of two points; `nothing`
    is shown where there are no series; of names that the regular expression `shortened` matches its group is left.
    """

    style: Literal["lines", "bars", "steps"] = "lines"
    stacked: bool = False
    names: Mapping[str, Named] = field(default_factory=dict)
    background: str | None = None
    least: float | None = 0
    most: float | None = None
    interval: str | None = None
    nothing: Text | None = None
    shortened: str | None = None


@dataclass(frozen=True)
class Column:
    """A column of a table. `width` in pixels, the rest shares what is left; `values` says what certain texts mean;
    `link` leads to a page, with `${__value.raw}` for the cell; `bar` draws a number as a bar as well; `long`
    texts are broken into lines, in rows as high as that takes, and can be opened. A table has one such column at most.
    """

    title: Text
    width: int | None = None
    unit: str | None = None
    decimals: int | None = None
    values: Mapping[str, Named] = field(default_factory=dict)
    thresholds: Steps = ()
    link: str | None = None
    bar: bool = False
    long: bool = False


@dataclass(frozen=True)
class Table(Panel):
    """Rows. Columns of queries are shown in the order of `columns`, others are not; with `joined_by` the rows of all
    queries that share this column become one, and the value of the query A is the column `Value #A`.
    """

    columns: Mapping[str, Column] = field(default_factory=dict)
    joined_by: str | None = None
    sorted_by: str | None = None


@dataclass(frozen=True)
class Row:
    """Panels beside each other, of one height in Grafana's rows of 38 pixels, with their widths in 24ths; with a title
    a section begins.
    """

    height: int
    panels: tuple[tuple[int, Panel], ...]
    title: Text | None = None
