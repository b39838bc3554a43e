"""Checks of a rule set that could be read, each one small function in a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from treasury_watch.domain.calendar import DAY_US
from treasury_watch.domain.payment import FIELDS
from treasury_watch.rules.calendars import years_without
from treasury_watch.rules.canonical import condition_of, logic_hash
from treasury_watch.rules.catalogue import Row
from treasury_watch.rules.coverage import cases_of
from treasury_watch.rules.diagnostics import Diagnostic, Severity, did_you_mean
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.lock import FILE_NAME, Locked, locked_rules
from treasury_watch.rules.meaning import leaves
from treasury_watch.rules.plan import asks_model, needed_by
from treasury_watch.rules.schema import Leaf, Param, Rule, RuleFile, RuleSet, Span

# --- without these, a rule set has no meaning: `read` makes them ---


def repeated_ids(ruleset: RuleSet) -> Iterator[Diagnostic]:
    """An id stands for one rule, in all files."""
    first: dict[str, Rule] = {}
    for rule in ruleset.rules:
        if rule.id in first:
            other = first[rule.id].span
            place = f"{other.file}:{other.line}" if other else "another file"
            yield _finding(rule.span, "TW110", f"a second rule `{rule.id}`", f"the first is in {place}")
        first.setdefault(rule.id, rule)


def gaps(ruleset: RuleSet) -> Iterator[Diagnostic]:
    """A dated param has a value on every day on which its rule holds."""
    for rule in ruleset.rules:
        for param in rule.params.values():
            for segment, dated in param.segments.items():
                since = dated[0].since
                if since is None or (rule.effective_from is not None and since <= rule.effective_from):
                    continue
                starts = (
                    f"the rule holds from {rule.effective_from}" if rule.effective_from else "the rule always holds"
                )
                named = f"`{param.name}`" if segment is None else f"`{param.name}` for {segment}"
                yield _finding(param.span, "TW401", f"{named} has no value before {since}", f"{starts}: start it there")


def idle_defaults(ruleset: RuleSet) -> Iterator[Diagnostic]:
    """A default is for instructions whose value has no segment of its own, or is missing."""
    for rule in ruleset.rules:
        for param in rule.params.values():
            if param.segment_by is not None and _is_idle(param, param.segment_by):
                hint = f"every `{param.segment_by}` has its own: leave `default` out"
                yield _finding(param.span, "TW403", f"no instruction reaches the default of `{param.name}`", hint)


def _is_idle(param: Param, segment_by: str) -> bool:
    field = FIELDS[segment_by]
    return None in param.segments and field.required and param.segments.keys() >= field.values.keys()


def acting_on_anomaly(ruleset: RuleSet) -> Iterator[Diagnostic]:
    """What a model finds odd is looked at, never held; and where the model says nothing, nobody is told of it."""
    for rule in ruleset.rules:
        if asks_model(rule):
            if rule.action in ("intercept", "prohibit"):
                message = f"`{rule.id}` asks the model, and would {rule.action}"
                yield _finding(rule.span, "TW407", message, "a rule on `anomaly` may `warn` or `record`")
            if rule.on_missing != "pass":
                message = f"`{rule.id}` would {rule.on_missing} wherever the model says nothing"
                yield _finding(rule.span, "TW407", message, "set `on_missing: pass`")


LOADING_CHECKS: tuple[Callable[[RuleSet], Iterator[Diagnostic]], ...] = (
    repeated_ids,
    gaps,
    idle_defaults,
    acting_on_anomaly,
)

# --- good keeping: a set that fails these is still judged by, since old sets must load for an audit ---


@dataclass(frozen=True, slots=True)
class Kept:
    """What is checked: a rule set, what is kept beside it (`None`: no such file), and the day of the check."""

    ruleset: RuleSet
    lock: Mapping[str, Locked] | None
    risk_points: tuple[str, ...] | None
    as_of: date
    catalogue: tuple[Row, ...] | None = None


def untested(kept: Kept) -> Iterator[Diagnostic]:
    """A live rule has a test that hits it and, in such a test, a step just beside it that does not."""
    for file in kept.ruleset.files:
        for rule in file.rules:
            if rule.mode != "live":
                continue
            tested = cases_of(rule, file)
            if not tested.hit:
                yield _finding(
                    rule.span, "TW601", f"no test hits the live rule `{rule.id}`", _test_hint(file), "warning"
                )
            elif not tested.boundary_miss:
                hint = "add a step to one of its tests that is just not hit"
                yield _finding(rule.span, "TW602", f"no boundary miss of `{rule.id}`", hint, "warning")


def _test_hint(file: RuleFile) -> str:
    return "add a step that expects it by its id" if file.tests else "add `tests:` to the file"


def expired_exceptions(kept: Kept) -> Iterator[Diagnostic]:
    """An exception that has ended is taken out, or renewed on a new basis."""
    for rule in kept.ruleset.rules:
        for each in rule.exceptions:
            if each.expires < kept.as_of and rule.mode != "retired":
                message = f"an exception of `{rule.id}` expired on {each.expires}"
                yield _finding(each.span, "TW603", message, "take it out, or renew it", "warning")


def changed_logic(kept: Kept) -> Iterator[Diagnostic]:
    """Logic that differs from the lock's has a higher revision."""
    for rule in locked_rules(kept.ruleset):
        locked = (kept.lock or {}).get(rule.id)
        if locked is not None and locked.logic != logic_hash(rule) and rule.revision <= locked.revision:
            message = f"the logic of `{rule.id}` changed, its revision is still {rule.revision}"
            yield _finding(rule.span, "TW604", message, f"set `revision: {locked.revision + 1}`")


def stale_lock(kept: Kept) -> Iterator[Diagnostic]:
    """The lock lists exactly the rules that there are, at their revisions."""
    hint = f"`treasury-watch rules check --fix` writes {FILE_NAME}"
    rules = {rule.id: rule for rule in locked_rules(kept.ruleset)}
    if kept.lock is None:
        yield _finding(_start(kept.ruleset), "TW605", f"there is no {FILE_NAME}", hint, "warning")
        return
    for name, rule in rules.items():
        locked = kept.lock.get(name)
        if locked is None:
            yield _finding(rule.span, "TW605", f"{FILE_NAME} does not list `{name}`", hint, "warning")
        elif locked.revision < rule.revision:
            message = f"{FILE_NAME} has revision {locked.revision} of `{name}`"
            yield _finding(rule.span, "TW605", message, hint, "warning")
        elif locked.revision > rule.revision and locked.logic == logic_hash(rule):
            message = f"the revision of `{name}` went back from {locked.revision} to {rule.revision}"
            yield _finding(rule.span, "TW605", message, f"set `revision: {locked.revision}`", "warning")
    for name in sorted(kept.lock.keys() - rules.keys()):
        message = f"{FILE_NAME} lists `{name}`, which is gone"
        gone = f"a rule that has judged is retired, not deleted; one that never did: take its line out of {FILE_NAME}"
        yield _finding(_start(kept.ruleset), "TW605", message, gone, "warning")


def twins(kept: Kept) -> Iterator[Diagnostic]:
    """Two rules with one logic say everything twice."""
    alike: dict[str, list[Rule]] = {}
    for rule in kept.ruleset.running:
        others = alike.setdefault(condition_of(rule), [])
        for other in others:
            if _overlap(other, rule):
                message = f"`{rule.id}` has the same logic as `{other.id}`"
                yield _finding(rule.span, "TW606", message, "retire one of them", "warning")
        others.append(rule)


def _overlap(one: Rule, other: Rule) -> bool:
    since = max(one.effective_from or date.min, other.effective_from or date.min)
    return since < min(one.effective_until or date.max, other.effective_until or date.max)


def risk_points(kept: Kept) -> Iterator[Diagnostic]:
    """A rule's risk point exists."""
    named = [rule for rule in kept.ruleset.rules if rule.risk_point is not None]
    if kept.risk_points is None:
        for rule in named[:1]:
            hint = "list the risk points in risk-points.yaml"
            yield _finding(
                rule.span, "TW607", f"`{rule.id}` names a risk point, and there is no list of them", hint, "warning"
            )
        return
    for rule in named:
        if rule.risk_point not in kept.risk_points:
            hint = did_you_mean(str(rule.risk_point), kept.risk_points)
            yield _finding(rule.span, "TW209", f"`{rule.id}` names the risk point `{rule.risk_point}`", hint)


def catalogued(kept: Kept) -> Iterator[Diagnostic]:
    """A catalogue names rules that exist and all that run; a row without any says why."""
    known = [rule.id for rule in kept.ruleset.rules]
    named = {each.id for row in kept.catalogue or () for each in row.rules}
    for row in kept.catalogue or ():
        for each in row.rules:
            if each.id not in known:
                hint = did_you_mean(each.id, known)
                yield _finding(each.span, "TW211", f"row {row.number} names the rule `{each.id}`", hint)
        if not row.rules and row.left_out is None:
            hint = "name its rules, or say why there are none: `left_out: {zh: …, en: …}`"
            yield _finding(row.span, "TW609", f"row {row.number} has no rule", hint, "warning")
    for rule in kept.ruleset.running if kept.catalogue is not None else ():
        if rule.id not in named:
            hint = "add it to the row that it carries out"
            yield _finding(rule.span, "TW608", f"`{rule.id}` is in no row of the catalogue", hint, "warning")


def years_without_notice(kept: Kept) -> Iterator[Diagnostic]:
    """A calendar has every year on which a rule asks it: from the rule's first to the day of the check, and in
    December the next."""
    upto = kept.as_of + timedelta(days=31)
    for rule in kept.ruleset.rules:
        last = min(upto, (rule.effective_until or date.max) - timedelta(days=1))
        first = min(rule.effective_from or kept.as_of, last)
        for leaf in working_times(rule) if rule.mode != "retired" else ():
            calendar = kept.ruleset.calendars[leaf.operand.calendar]
            for year in years_without(calendar, first, last):
                severity: Severity = "error" if year <= kept.as_of.year else "warning"
                message = f"the calendar `{calendar.name}` has no {year}, in which `{rule.id}` asks it"
                hint = "add the year once its notice is published; until then the rule's answer is missing"
                yield _finding(leaf.span, "TW506", message, hint, severity)


def working_times(rule: Rule) -> Iterator[Leaf]:
    """Every place where a rule asks for working time."""
    conditions = [rule.when, *(each.match for each in rule.exceptions), *(each.where for each in needed_by(rule))]
    for condition in conditions:
        if condition is not None:
            yield from (leaf for leaf in leaves(condition) if leaf.operator == "working_time")


def short_histories(kept: Kept) -> Iterator[Diagnostic]:
    """A param in the `where` of a window has a value on every day to which that window reaches back: what is asked
    without one is missing, and is not counted."""
    for rule in kept.ruleset.running:
        told = set()
        for aggregate in needed_by(rule):
            for leaf in leaves(aggregate.where) if aggregate.where is not None else ():
                operands = leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)
                for param in operands:
                    if isinstance(param, Param) and param.name not in told and _begins_late(param, rule, aggregate):
                        told.add(param.name)
                        message = f"a window of `{rule.id}` reaches back to days on which `{param.name}` has no value"
                        hint = "give its first value an earlier `from`, or none: those days would not be counted"
                        yield _finding(rule.params[param.name].span, "TW610", message, hint, "warning")


def _begins_late(param: Param, rule: Rule, aggregate: Aggregate) -> bool:
    first = _first_day(rule.effective_from or date.min, aggregate)
    return any(dated[0].since is not None and dated[0].since.toordinal() > first for dated in param.segments.values())


def _first_day(since: date, aggregate: Aggregate) -> int:
    """The earliest local day (ordinal) of the window of an instruction of that day."""
    match aggregate.period:
        case "day":
            return since.toordinal()
        case "week":
            return since.toordinal() - since.weekday()
        case "month":
            return since.replace(day=1).toordinal()
        case "quarter":
            return since.replace(month=(since.month - 1) // 3 * 3 + 1, day=1).toordinal()
    return since.toordinal() - -(-aggregate.reach_us // DAY_US)


def asking_nobody(kept: Kept) -> Iterator[Diagnostic]:
    """What rules ask of the model is missing for ever in a set that has none."""
    for rule in kept.ruleset.rules if kept.ruleset.model is None else ():
        if rule.mode != "retired" and asks_model(rule):
            message = f"`{rule.id}` asks the model, and this set has none: it is always missing"
            hint = "add a file with `model: TailSurprise`"
            yield _finding(rule.span, "TW611", message, hint, "warning")


CHECKS: tuple[Callable[[Kept], Iterator[Diagnostic]], ...] = (
    untested,
    expired_exceptions,
    changed_logic,
    stale_lock,
    twins,
    risk_points,
    catalogued,
    years_without_notice,
    short_histories,
    asking_nobody,
)


def _start(ruleset: RuleSet) -> Span:
    return Span(ruleset.files[0].path, 1, 1)


def _finding(span: Span | None, code: str, message: str, hint: str, severity: Severity = "error") -> Diagnostic:
    return Diagnostic(span or Span("", 1, 1), code, message, hint, severity)
