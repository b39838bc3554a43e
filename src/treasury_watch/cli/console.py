"""What commands share: failures, output files, progress on stderr, tables and JSON on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

STANDARD = Path("-")

Json = Annotated[bool, typer.Option("--json", help="The result as one JSON object, for machines.")]


class Failure(Exception):
    """What the user can put right: one clear line, or one for each thing wrong. Ends the command with exit status 2."""


@contextmanager
def failing_on(*errors: type[Exception]) -> Iterator[None]:
    """Turns the errors that adapters raise for the user into a Failure."""
    try:
        yield
    except errors as error:
        raise Failure(str(error)) from error


def note(text: str) -> None:
    """One line of diagnostics on stderr."""
    typer.echo(text, err=True)


def emit_json(result: Any) -> None:
    """The result of a command for machines."""
    typer.echo(json.dumps(result, ensure_ascii=False))


def by_reason(counts: Mapping[Any, int]) -> str:
    """Counts in brackets after their sum, such as " (schema 3, too_late 1)"; nothing for none."""
    told = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items()))
    return f" ({on_one_line(told)})" if told else ""


def on_one_line(text: str) -> str:
    """Text of unknown origin as a terminal may show it: control characters and line ends escaped."""
    return text if text.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


@contextmanager
def output_file(path: Path | None, *, reads: Sequence[Path | None] = ()) -> Iterator[IO[bytes] | None]:
    """A file to write, which is there under its name only once all of it is written; `-` is standard output.

    Refuses to write over a file that is being read.
    """
    if path is None:
        yield None
    elif path == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif path.exists() and not path.is_file():  # a pipe or a device
        with path.open("wb") as file:
            yield file
    else:
        if path.exists() and any(each is not None and each.exists() and path.samefile(each) for each in reads):
            raise Failure(f"{path}: cannot write over the file that is being read")
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            with _creating(path, partial) as file:
                yield file
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def _creating(path: Path, partial: Path) -> Iterator[IO[bytes]]:
    try:
        file = partial.open("wb")
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from error
    with file:
        yield file


@contextmanager
def progress(label: str, total: int | None, *, in_bytes: bool = False) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where that is a terminal; yields a function that is told how much of `total` is done."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), amount, TimeRemainingColumn(elapsed_when_finished=True))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.update(task, completed=done)


def console(*, err: bool = False, markup: bool = True) -> Console:
    """The terminal, or plain text where there is none; without `markup` brackets and colons are as they stand."""
    from rich.console import Console

    return Console(stderr=err, highlight=False, markup=markup, emoji=markup)


def show_table(header: Sequence[str], rows: Sequence[Sequence[object]], *, title: str, err: bool = False) -> None:
    """A table of at least one row; numbers stand to the right, with thousands separators, and texts as they are."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name, cell in zip(header, rows[0], strict=True):
        table.add_column(name, justify="right" if isinstance(cell, int) else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    console(err=err, markup=False).print(table)
