"""Commands on cases in PostgreSQL: `cases list`, `show`, `export`; `migrate`, `prune` for who keeps the database."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treasury_watch.cli.console import (
    Failure,
    Json,
    console,
    emit_json,
    failing_on,
    note,
    on_one_line,
    output_file,
    progress,
)
from treasury_watch.cli.kafka import settings_of_environment

if TYPE_CHECKING:
    from treasury_watch.adapters.cases.reading import Case, Selection

SHOWN = 50
_WIDE_SPACE = "\u3000"  # between Chinese words, and no control character
_HELD_BACK = {"shadow": ("试运行", "shadow"), "warming": ("预热", "warming"), "excepted": ("例外", "excepted")}
_FOLDED = ("budget_unit_name", "payee_name", "rules")
_ROOM, _LEAST = 110, 4  # cells of a terminal in which nothing else has to be folded, and of a column
_LISTED = ("event_time", "status", "verdict", "budget_unit_name", "amount", "payee_name", "rules", "instruction_id")

Open = Annotated[bool, typer.Option("--open", help="Only those that nobody has decided yet: --status open.")]
Unit = Annotated[str | None, typer.Option("--unit", metavar="CODE", help="Only those of a budget unit.")]
Rule = Annotated[str | None, typer.Option("--rule", metavar="ID", help="Only those that a rule fired on.")]
Since = Annotated[str | None, typer.Option("--from", metavar="DAY", help="From a local day on, such as 2026-03-01.")]
Until = Annotated[str | None, typer.Option("--until", metavar="DAY", help="Up to and with a local day.")]


class Status(StrEnum):
    """What was decided."""

    open = "open"
    released = "release"
    returned = "return"
    confirmed = "confirm"


class Tongue(StrEnum):
    """The language of headers, words and reasons."""

    zh = "zh"
    en = "en"


class Form(StrEnum):
    """What kind of file."""

    csv = "csv"
    xlsx = "xlsx"


Decided = Annotated[Status | None, typer.Option("--status", help="Only those of which that was decided.")]
Lang = Annotated[Tongue, typer.Option("--lang", help="The language of headers, words and reasons.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Cases in PostgreSQL: what was warned of, intercepted or prohibited.")
    group.command("list")(list_cases)
    group.command()(show)
    group.command()(export)
    group.command()(migrate)
    group.command()(prune)
    app.add_typer(group, name="cases")


def list_cases(
    only_open: Open = False,
    status: Decided = None,
    unit: Unit = None,
    rule: Rule = None,
    since: Since = None,
    until: Until = None,
    most: Annotated[int, typer.Option("--most", min=1, metavar="N", help="At most so many, the newest.")] = SHOWN,
    language: Lang = Tongue.zh,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line, for machines.")] = False,
) -> None:
    """Lists cases, the newest first; card and account numbers are masked."""
    from treasury_watch.adapters.cases import reading
    from treasury_watch.adapters.cases.database import DatabaseError

    settings, selection = settings_of_environment(), _selection(only_open, status, unit, rule, since, until)
    with failing_on(DatabaseError):
        found = list(reading.cases(settings, selection, most))
        if as_json:
            for case in found:
                emit_json(_json(case))
            return
        total = reading.count(settings, selection) if len(found) == most else len(found)
    if found:
        _show_list(found, _title(len(found), total, language), language)
    else:
        typer.echo("没有案件" if language is Tongue.zh else "no cases")


def show(
    number: Annotated[str, typer.Argument(metavar="ID", help="An instruction_id or a decision_id.")],
    language: Lang = Tongue.zh,
    as_json: Json = False,
) -> None:
    """Shows the case of an instruction or a decision with all hits. Exit status 1 when there is none."""
    from treasury_watch.adapters.cases import reading
    from treasury_watch.adapters.cases.database import DatabaseError

    settings = settings_of_environment()
    with failing_on(DatabaseError):
        found = reading.details(settings, number)
    if not found:
        note(f"{on_one_line(number)}: no case; a payment that passed has none")
        raise typer.Exit(1)
    if as_json:
        emit_json([_json(case) for case in found])
        return
    for case in found:
        _show(case, language)


def export(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write; - is stdout.")],
    form: Annotated[Form | None, typer.Option("--as", help="Default: what the file's name ends with.")] = None,
    only_open: Open = False,
    status: Decided = None,
    unit: Unit = None,
    rule: Rule = None,
    since: Since = None,
    until: Until = None,
    language: Lang = Tongue.zh,
) -> None:
    """Writes cases for spreadsheets, as CSV or XLSX; card and account numbers are masked, and nothing is a formula."""
    from treasury_watch.adapters.cases import reading
    from treasury_watch.adapters.cases.database import DatabaseError
    from treasury_watch.adapters.cases.export import TooMany
    from treasury_watch.adapters.cases.export import export as write

    ending = out.suffix.removeprefix(".").lower()
    kind = form.value if form else ending
    if kind not in ("csv", "xlsx"):
        raise Failure(f"--out {out}: expected a name that ends with .csv or .xlsx, or --as csv or --as xlsx")
    settings, selection = settings_of_environment(), _selection(only_open, status, unit, rule, since, until)
    with failing_on(DatabaseError, TooMany), output_file(out) as file, progress("export", None) as done:
        assert file is not None
        rows = _counted(reading.cases(settings, selection), done)
        n = write(rows, file, kind, language.value)  # type: ignore[arg-type]
    note(f"{n:,} cases written to {out}")


def migrate(as_json: Json = False) -> None:
    """Makes the tables, views and roles of cases, or brings them up to date, working days by the calendar of the rules
    with them. Needs the database's owner.
    """
    from treasury_watch.adapters.cases import workdays
    from treasury_watch.adapters.cases.database import DatabaseError
    from treasury_watch.adapters.cases.migrating import migrate as bring_up_to_date
    from treasury_watch.adapters.rulefiles import default_rules, load
    from treasury_watch.rules import RuleErrors

    settings = settings_of_environment()
    with failing_on(DatabaseError, RuleErrors, OSError):
        calendar = workdays.calendar_of(load(settings.rules_dir or default_rules()))
        steps = bring_up_to_date(settings)
        if calendar is None:
            note(f"the rules have no calendar {workdays.NAME}: deadlines of cases are not known")
        elif workdays.keep(settings, calendar):
            steps.append(f"working days of {', '.join(map(str, calendar.years))}")
    if as_json:
        emit_json({"steps": steps})
    else:
        typer.echo("\n".join(f"done    {each}" for each in steps) or "up to date")


def prune(
    before: Annotated[str, typer.Option("--before", metavar="DAY", help="Whole months before the month of this day.")],
    as_json: Json = False,
) -> None:
    """Drops old months for good. Refused while a payment of that time is held. Needs the database's owner."""
    from treasury_watch.adapters.cases.database import DatabaseError
    from treasury_watch.adapters.cases.retention import prune as drop

    day = _day("--before", before)
    settings = settings_of_environment()
    with failing_on(DatabaseError):
        dropped = drop(settings, day)
    if as_json:
        emit_json({"dropped": dropped})
    else:
        typer.echo("\n".join(f"dropped {each}" for each in dropped) or "nothing is that old")


def _selection(
    only_open: bool, status: Status | None, unit: str | None, rule: str | None, since: str | None, until: str | None
) -> Selection:
    from treasury_watch.adapters.cases.reading import Selection

    first = None if since is None else _day("--from", since)
    last = None if until is None else _day("--until", until)
    if first and last and last < first:
        raise Failure(f"--until {last}: expected a day not before --from {first}")
    if only_open and status not in (None, Status.open):
        raise Failure(f"--status {status}: expected no other than open with --open")
    return Selection("open" if only_open else status and status.value, unit, rule, first, last)


def _day(option: str, text: str) -> date:
    from treasury_watch.adapters.messages import date_of

    try:
        return date_of(text)
    except ValueError:
        raise Failure(f"{option} {text}: expected a day such as 2026-03-01") from None


def _counted(cases: Any, done: Any) -> Any:
    for n, case in enumerate(cases, 1):
        if n % 1000 == 0:
            done(n)
        yield case


def _json(case: Case) -> dict[str, Any]:
    return {name: _machine(value) for name, value in case.items()}


def _machine(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _title(shown: int, total: int, language: Tongue) -> str:
    if language is Tongue.zh:
        return f"案件 {total:,} 件" if shown == total else f"案件 {total:,} 件，显示最新 {shown:,} 件"
    return f"{total:,} cases" if shown == total else f"the newest {shown:,} of {total:,} cases"


def _show_list(found: list[Case], title: str, language: Tongue) -> None:
    """A table in which names and rules are folded where room is short; where there is very little of it, all is but
    amounts.
    """
    from rich.markup import escape
    from rich.table import Table

    from treasury_watch.adapters.cases.export import HEADERS

    table = Table(title=title, title_justify="left")
    terminal = console()
    for field in _LISTED:
        table.add_column(
            HEADERS[field][language is Tongue.en],
            justify="right" if field == "amount" else "left",
            overflow="fold",
            no_wrap=field == "amount" or (field not in _FOLDED and terminal.width >= _ROOM),
            min_width=_LEAST,
        )
    for case in found:
        row = {field: _words(field, case[field], language) for field in _LISTED}
        if case["currency"] != "CNY":
            row["amount"] = f"{on_one_line(case['currency'])} {row['amount']}"
        table.add_row(*map(escape, row.values()))
    terminal.print(table)


def _words(field: str, value: Any, language: Tongue) -> str:
    from treasury_watch.adapters.cases.export import in_words

    told = in_words(field, value, language.value)
    if isinstance(told, Decimal) and field == "amount":
        return f"{told:,.2f}"
    return "" if told is None else on_one_line(str(told).replace(_WIDE_SPACE, " "))


def _show(case: Case, language: Tongue) -> None:
    from treasury_watch.adapters.cases.export import HEADERS
    from treasury_watch.adapters.cases.reading import FIELDS

    for field in FIELDS:
        if case[field] is not None:
            typer.echo(f"{HEADERS[field][language is Tongue.en]}: {_words(field, case[field], language)}")
    for hit in case["hits"]:
        held_back = [hit["mode"]] * (hit["mode"] != "live") + ["excepted"] * ("excepted" in hit)
        told = "".join(f" ({_HELD_BACK[each][language is Tongue.en]})" for each in held_back)
        typer.echo(f"- {hit['rule']}{told}: {on_one_line(hit['reason'][language.value])}")
    typer.echo("")
