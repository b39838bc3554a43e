"""A whole rule set: the files of a directory, each known by its first key, as one RuleSet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from itertools import islice
from types import MappingProxyType
from typing import TypeVar

from treasury_watch.rules.calendars import read_calendar
from treasury_watch.rules.canonical import reference_hash, set_hash
from treasury_watch.rules.catalogue import Row, read_catalogue
from treasury_watch.rules.checks import CHECKS, LOADING_CHECKS, Kept
from treasury_watch.rules.diagnostics import Diagnostic, any_of, in_order
from treasury_watch.rules.limits import FINDINGS, SET_BYTES, SET_CONDITIONS, SET_FILES, SET_RULES, SET_VALUES
from treasury_watch.rules.lock import FILE_NAME, read_lock
from treasury_watch.rules.model import read_model
from treasury_watch.rules.plan import condition_count
from treasury_watch.rules.reader import FileRead, read_rule_file
from treasury_watch.rules.reference import Layout, read_layout, read_list, read_table
from treasury_watch.rules.risk_points import RiskPoint, read_risk_points
from treasury_watch.rules.schema import Calendar, ModelBlock, NamedList, RuleSet, Span, Table
from treasury_watch.rules.scope import Reference
from treasury_watch.rules.source import MappingNode, Report, compose

_LAST_CHECKED = date.max - timedelta(days=366)  # checks look a little ahead
# What a YAML file is, by the key that it must have.
KINDS = ("ruleset", "list", "table", "calendar", "risk_points", "catalogue", "model")


def read(files: Mapping[str, bytes]) -> tuple[RuleSet | None, list[Diagnostic]]:
    """The rule set that the files say, or `None` and everything that is wrong with them, in the order of the text.

    `files`: path → content, of YAML and CSV files; others are passed over. Messages name the paths, which mean nothing
    else but that a table's CSV has its declaration's path with another suffix.
    """
    report = Report()
    if _too_large(files, report):
        return None, report.diagnostics
    roots = _roots(files, report)
    lists = _named("list", roots["list"], lambda _, root: read_list(root, report), report)
    tables = _read_tables(roots["table"], files, report)
    calendars = _named("calendar", roots["calendar"], lambda _, root: read_calendar(root, report), report)
    reference = Reference(lists, tables, calendars, whole=not report.diagnostics)
    for root in roots["risk_points"].values():
        read_risk_points(root, report)
    for root in roots["catalogue"].values():
        read_catalogue(root, report)
    model = _read_models(roots["model"], report)
    found = [(root, read_rule_file(path, root, reference, report)) for path, root in roots["ruleset"].items()]
    if not roots["ruleset"] and not report.diagnostics:
        first = min(files, default=".")
        report.error(Span(first, 1, 1), "TW009", "there is no rule file", "a rule file starts with `ruleset: name`")
    whole = [(root, each) for root, each in found if each is not None]
    _agree(whole, report)
    if not whole:
        return None, in_order(report.diagnostics)
    ruleset = RuleSet(
        whole[0][1].timezone,
        whole[0][1].partition_by,
        tuple(each.file for _, each in whole),
        MappingProxyType(dict(sorted(reference.lists.items()))),
        MappingProxyType(dict(sorted(reference.tables.items()))),
        MappingProxyType(dict(sorted(reference.calendars.items()))),
        model=model,
    )
    _count_rules(ruleset, report)
    for check in LOADING_CHECKS:
        report.diagnostics.extend(check(ruleset))
    if report.diagnostics:
        return None, in_order(report.diagnostics)
    return replace(ruleset, hash=set_hash(ruleset), reference=reference_hash(ruleset)), []


def _too_large(files: Mapping[str, bytes], report: Report) -> bool:
    size = 0
    for count, path in enumerate(sorted(files), 1):
        size += len(files[path])
        limit = SET_FILES if count > SET_FILES.most else SET_BYTES if size > SET_BYTES.most else None
        if limit is not None:
            report.over(limit, Span(path, 1, 1))
            return True
    return False


def _count_rules(ruleset: RuleSet, report: Report) -> None:
    """Tells the author at the first rule too many, or at the first whose conditions are too many for the set."""
    conditions = 0
    for count, rule in enumerate(ruleset.rules, 1):
        conditions += condition_count(rule)
        limit = SET_RULES if count > SET_RULES.most else SET_CONDITIONS if conditions > SET_CONDITIONS.most else None
        if limit is not None:
            report.over(limit, rule.span or Span(ruleset.files[0].path, 1, 1))
            return


def check(ruleset: RuleSet, files: Mapping[str, bytes], as_of: date) -> list[Diagnostic]:
    """What is not in good keeping in the rule set that `files` say. None of it keeps the set from being judged by.

    `as_of`: the day against which exceptions expire, in the rule set's zone.
    """
    report = Report()
    lock = next((read_lock(path, data, report) for path, data in files.items() if _is_lock(path)), None)
    points = risk_points_of(files)
    ids = None if points is None else tuple(each.id for each in points)
    kept = Kept(ruleset, lock, ids, min(as_of, _LAST_CHECKED), catalogue_of(files))
    return in_order([*report.diagnostics, *(found for each in CHECKS for found in islice(each(kept), FINDINGS.most))])


def risk_points_of(files: Mapping[str, bytes]) -> tuple[RiskPoint, ...] | None:
    """The risk points of a rule set that could be read; `None` if no file lists any."""
    roots = _roots_of("risk_points", files)
    return tuple(each for root in roots.values() for each in read_risk_points(root, Report())) if roots else None


def catalogue_of(files: Mapping[str, bytes]) -> tuple[Row, ...] | None:
    """The rows of a rule set's catalogue that could be read; `None` if it has no catalogue."""
    roots = _roots_of("catalogue", files)
    return tuple(each for root in roots.values() for each in read_catalogue(root, Report())) if roots else None


def layouts_of(files: Mapping[str, bytes]) -> dict[str, Layout]:
    """Path of the CSV file → how the rows of the table that it holds are declared, of a rule set that could be read."""
    found = {path: read_layout(root) for path, root in _roots_of("table", files).items()}
    return {path.removesuffix(".yaml") + ".csv": layout for path, layout in found.items() if layout is not None}


def _roots_of(kind: str, files: Mapping[str, bytes]) -> Mapping[str, MappingNode]:
    """The files of one kind. Only those are parsed that have its key in them somewhere."""
    return _roots({path: data for path, data in files.items() if kind.encode() in data}, Report())[kind]


def _is_lock(path: str) -> bool:
    return path.rpartition("/")[2] == FILE_NAME


def _roots(files: Mapping[str, bytes], report: Report) -> dict[str, dict[str, MappingNode]]:
    roots: dict[str, dict[str, MappingNode]] = {kind: {} for kind in KINDS}
    for path in sorted(files):
        if path.endswith(".yml"):
            report.error(Span(path, 1, 1), "TW009", "a file with the suffix .yml is not read", "name it .yaml")
        if not path.endswith(".yaml"):
            continue
        if report.values > SET_VALUES.most:
            report.over(SET_VALUES, Span(path, 1, 1))
            break
        before = len(report.diagnostics)
        root = compose(path, files[path], report)
        if root is None and len(report.diagnostics) > before:
            continue
        kinds = [kind for kind in KINDS if isinstance(root, MappingNode) and root.get(kind) is not None]
        if isinstance(root, MappingNode) and kinds:
            roots[kinds[0]][path] = root
        else:
            span = root.span if root is not None else Span(path, 1, 1)
            found = "an empty file" if root is None else "a file of no known kind"
            report.error(span, "TW009", found, f"it starts with {any_of(KINDS)}")
    return roots


_Named = TypeVar("_Named", NamedList, Calendar, Table)


def _named(
    kind: str, roots: Mapping[str, MappingNode], read: Callable[[str, MappingNode], _Named | None], report: Report
) -> dict[str, _Named]:
    """The lists, tables or calendars that could be read, by name."""
    named: dict[str, _Named] = {}
    for path, root in roots.items():
        found = read(path, root)
        if found is not None:
            if found.name in named:
                report.error(root.span, "TW110", f"a second {kind} `{found.name}`", "rename one, or join them")
            named[found.name] = found
    return named


def _read_tables(roots: Mapping[str, MappingNode], files: Mapping[str, bytes], report: Report) -> dict[str, Table]:
    def read_one(path: str, root: MappingNode) -> Table | None:
        csv_path = path.removesuffix(".yaml") + ".csv"
        return read_table(root, csv_path, files.get(csv_path), report)

    tables = _named("table", roots, read_one, report)
    for path in files:
        sidecar = path.removesuffix(".csv") + ".yaml"
        if path.endswith(".csv") and sidecar not in roots and sidecar not in files:
            report.error(
                Span(path, 1, 1), "TW501", "a CSV file without its declaration", f"declare its columns in {sidecar}"
            )
    return tables


def _read_models(roots: Mapping[str, MappingNode], report: Report) -> ModelBlock | None:
    """The one model of a set; `None` if it has none."""
    models = [read_model(root, report) for root in roots.values()]
    for root in [*roots.values()][1:]:
        report.error(root.span, "TW110", "a second model", f"the first is in {next(iter(roots))}: keep one of them")
    return models[0] if models else None


def _agree(found: list[tuple[MappingNode, FileRead]], report: Report) -> None:
    """All files of a set have one time zone and one partition key."""
    for root, each in found[1:]:
        first = found[0][1]
        for key, own, other in (
            ("timezone", each.timezone, first.timezone),
            ("partition_by", each.partition_by, first.partition_by),
        ):
            if own != other:
                span = (root.get(key) or root).span
                report.error(
                    span, "TW109", f"`{key}` is `{own}`", f"{first.file.path} has `{other}`: one set, one `{key}`"
                )
