"""`rules diff`: what differs between two rule sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treasury_watch.cli.console import Failure, Json, emit_json, failing_on, on_one_line

if TYPE_CHECKING:
    from treasury_watch.rules.datadiff import DataDiff, Set
    from treasury_watch.rules.diff import Part, RuleDiff
    from treasury_watch.rules.schema import Rule, Span

SHOWN_ENTRIES = 20  # of one list or table; --json has all


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A directory, a git revision, or REVISION:PATH.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same; a revision alone: of the other's directory.")],
    as_json: Json = False,
) -> None:
    """Says what differs between two rule sets: rules, model, lists, tables, calendars; not tests, not comments. Exit
    status 1 when something does.
    """
    from treasury_watch.rules.datadiff import data_diffs
    from treasury_watch.rules.diff import rule_diffs, set_parts

    before, after = _read(old, new), _read(new, old)
    rules, data = rule_diffs(before.ruleset, after.ruleset), data_diffs(before, after)
    parts = set_parts(before.ruleset, after.ruleset)
    if as_json:
        emit_json(
            {
                "old": _side(old, before),
                "new": _side(new, after),
                "set": [_part(each) for each in parts],
                "rules": [_rule(each) for each in rules],
                "data": [_data(each) for each in data],
            }
        )
    else:
        for line in _told(parts, rules, data):
            typer.echo(on_one_line(line))
        if not (parts or rules or data):
            typer.echo(f"{old} and {new}: no difference in {len(after.ruleset.rules)} rules and their data")
    if parts or rules or data:
        raise typer.Exit(1)


def _read(name: str, beside: str) -> Set:
    from treasury_watch.adapters.gitrules import UnknownRevision, files_at
    from treasury_watch.rules import read, render
    from treasury_watch.rules.datadiff import Set

    with failing_on(UnknownRevision):
        files = files_at(name, beside)
    ruleset, diagnostics = read(files)
    if ruleset is None:
        raise Failure(render(diagnostics, files) if files else f"{name}: no rule files there")
    return Set(ruleset, files)


# --- text ---


def _told(parts: list[Part], rules: list[RuleDiff], data: list[DataDiff]) -> Iterator[str]:
    for part in parts:
        yield f"{part.part}  {part.old or '(none)'} → {part.new or '(none)'}"
    for rule in rules:
        yield _heading(rule)
        for part in rule.parts:
            yield from _lines(part)
    for each in data:
        yield f"{each.kind} {each.name}: {_change(each.old, each.new)}  {_places(each.old, each.new)}"
        for part in each.parts[:SHOWN_ENTRIES]:
            yield from _lines(part)
        if len(each.parts) > SHOWN_ENTRIES:
            yield f"  … and {len(each.parts) - SHOWN_ENTRIES:,} more; --json has all"


def _heading(each: RuleDiff) -> str:
    rule = each.new or each.old
    assert rule is not None
    changes = ", ".join(each.changes)
    if each.old is None or each.new is None:
        changes += f" ({rule.mode}, {rule.action})"
    same = each.old and each.new and each.old.revision == each.new.revision
    unrevised = " (without a new revision)" if same and {"logic", "params"} & set(each.changes) else ""
    place = _places(each.old.span if each.old else None, each.new.span if each.new else None)
    return f"{rule.id} {rule.title.zh} · {rule.title.en}: {changes}{unrevised}  {place}"


def _lines(part: Part) -> Iterator[str]:
    name = part.part if part.name is None else part.name if part.part in ("param", "entry", "row") else None
    name = name or f"{part.part} {part.name}"
    when = (f" from {part.since}" if part.since else "") + (f" until {part.until}" if part.until else "")
    if part.old is not None and part.new is not None:
        if len(part.old) + len(part.new) < 80:
            yield f"  {name}: {part.old} → {part.new}{when}"
        else:
            yield f"  {name}:{when}"
            yield f"    − {part.old}"
            yield f"    + {part.new}"
    elif part.part == "condition":
        yield f"  − {part.old}" if part.old is not None else f"  + {part.new}"
    elif part.old is not None:
        yield f"  − {name}: {part.old}{when}"
    else:
        yield f"  + {name}: {part.new}{when}"


def _change(old: Span | None, new: Span | None) -> str:
    return "added" if old is None else "removed" if new is None else "changed"


def _places(old: Span | None, new: Span | None) -> str:
    places = [f"{span.file}:{span.line}" for span in (old, new) if span is not None]
    return " → ".join(dict.fromkeys(places))


# --- JSON ---


def _side(name: str, side: Set) -> dict[str, Any]:
    return {"name": name, "ruleset": side.ruleset.hash, "reference": side.ruleset.reference}


def _rule(each: RuleDiff) -> dict[str, Any]:
    return {
        "id": each.id,
        "changes": list(each.changes),
        "old": _version(each.old),
        "new": _version(each.new),
        "parts": [_part(part) for part in each.parts],
    }


def _version(rule: Rule | None) -> dict[str, Any] | None:
    if rule is None:
        return None
    return {"revision": rule.revision, "mode": rule.mode, "action": rule.action, **(_span(rule.span) or {})}


def _data(each: DataDiff) -> dict[str, Any]:
    change = {"kind": each.kind, "name": each.name, "change": _change(each.old, each.new)}
    return change | {"old": _span(each.old), "new": _span(each.new), "parts": [_part(part) for part in each.parts]}


def _part(part: Part) -> dict[str, Any]:
    return {
        "part": part.part,
        "name": part.name,
        "old": part.old,
        "new": part.new,
        "from": part.since and part.since.isoformat(),
        "until": part.until and part.until.isoformat(),
        "old_place": _span(part.old_span),
        "new_place": _span(part.new_span),
    }


def _span(span: Span | None) -> dict[str, Any] | None:
    return None if span is None else {"file": span.file, "line": span.line, "column": span.column}
