"""Checks of a rule set that could be read, each one small function in a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treasury_watch.domain.payment import FIELDS
from treasury_watch.rules.diagnostics import Diagnostic
from treasury_watch.rules.schema import Param, Rule, RuleSet, Span

# --- without these, a rule set has no meaning ---


def repeated_ids(ruleset: RuleSet) -> Iterator[Diagnostic]:
    """An id stands for one rule, in all files."""
    first: dict[str, Rule] = {}
    for rule in ruleset.rules:
        if rule.id in first:
            other = first[rule.id].span
            place = f"{other.file}:{other.line}" if other else "another file"
            yield _error(rule.span, "TW110", f"a second rule `{rule.id}`", f"the first is in {place}")
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
                yield _error(param.span, "TW401", f"{named} has no value before {since}", f"{starts}: start it there")


def idle_defaults(ruleset: RuleSet) -> Iterator[Diagnostic]:
    """A default is for values that have no segment of their own; without one, each value needs its segment."""
    for rule in ruleset.rules:
        for param in rule.params.values():
            if param.segment_by is not None:
                yield from _default_fits(param, param.segment_by)


def _default_fits(param: Param, segment_by: str) -> Iterator[Diagnostic]:
    values = FIELDS[segment_by]
    absent = [value for value in values.values if value not in param.segments]
    if None in param.segments and not absent and values.required:
        hint = f"every `{segment_by}` has its own: leave `default` out"
        yield _error(param.span, "TW403", f"no instruction reaches the default of `{param.name}`", hint)


LOADING_CHECKS: tuple[Callable[[RuleSet], Iterator[Diagnostic]], ...] = (repeated_ids, gaps, idle_defaults)


def _error(span: Span | None, code: str, message: str, hint: str) -> Diagnostic:
    return Diagnostic(span or Span("", 1, 1), code, message, hint)
