"""The table in docs/speed.md: what a run found, between two markers, written by a command and never by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Report

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "speed.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def with_figures(text: str, report: Report) -> str:
    """The document with the report's figures in the place of what was there. Raises ValueError without the markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{chr(10).join(_tables(report))}\n{END}{after}"


def _tables(report: Report) -> Iterator[str]:
    yield "; ".join(f"{name}: {value}" for name, value in report.machine.items()) + "."
    for section in report.sections:
        yield from ("", f"**{section.title}**", "", "| figure | value | aim | |", "|---|--:|--:|---|")
        for figure in section.figures:
            yield "| " + " | ".join(cell.strip() for cell in figure.cells()) + " |"
        yield ""
        yield from (f"- {note}" for note in section.notes)
    for line in report.skipped:
        yield from ("", line)
