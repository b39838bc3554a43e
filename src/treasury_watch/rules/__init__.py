"""Text in, rule set or diagnostics out: what a rule author writes, as typed, frozen objects."""

from treasury_watch.rules.diagnostics import Diagnostic, RuleErrors, render
from treasury_watch.rules.sets import read

__all__ = ["Diagnostic", "RuleErrors", "read", "render"]
