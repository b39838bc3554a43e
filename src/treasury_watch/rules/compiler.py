"""The compiler: a rule set as one Python function per span of days, in two-valued logic.

Kleene's three values are ordered false < missing < true; `all` is the least, `any` the greatest, `not` turns the
order round. So "is the condition true?" and "is it at least missing?" are each an ordinary two-valued formula over
the leaves, where a missing operand counts as false in the one and as true in the other (turned round under `not`).
The generated function asks the first question of every rule, and the second only of rules whose `on_missing` is not
`pass`: no third value exists at run time (ADR 0002).

Anything dated (a rule's effect, a parameter's value) is resolved when the function is made, which is once for each
span of days in which nothing dated changes. Features, keys and cuts are computed when first asked for and shared by
all rules.

Money is in fen at run time. The names that generated code uses are given to it by the engine (`engine.program`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import partial, reduce
from itertools import groupby
from operator import or_
from typing import Any

from treasury_watch.domain.calendar import year_start
from treasury_watch.domain.payment import Kind, field_of
from treasury_watch.rules.evaluation import CutCode, Expression
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.guards import (
    CLASSES,
    LONG_TEXT,
    MOST_COMBINATIONS,
    MOST_TEXTS,
    asked_by,
    guard_of,
    in_order,
    is_of_text,
    rest_of,
    texts_asked,
)
from treasury_watch.rules.meaning import LONG_KEY, in_effect, leaves, param_on, runtime_value
from treasury_watch.rules.operators import OPERATORS
from treasury_watch.rules.plan import Series, SeriesKey, always_present, series_key
from treasury_watch.rules.schema import (
    All,
    Any_,
    Condition,
    Feature,
    FeatureRef,
    FieldRef,
    Leaf,
    None_,
    Not,
    Param,
    Rule,
    RuleSet,
    WordList,
)

_LONG = 4_000  # characters of code for one value: beyond it stands once, before all rules, and others name it
_TEXT_KINDS = (Kind.TEXT, Kind.NAME, Kind.ACCOUNT, Kind.ENUM)
_PERIOD_START = {"day": "day.day_us", "week": "day.week_us", "month": "day.month_us", "quarter": "day.quarter_us"}


class Compiler:
    """Generates the source of `judge` for one span of days, and the constants that it refers to by name.

    `judge(p, t, amount, day, scope, settle, log)` takes an instruction, its event time (microseconds), its amount in
    CNY (fen, or None), its local day and the scope of its partition-key value. It calls `settle(fired, …)` if a rule
    fired, adds the instruction to the series that it belongs to, extends `log` by scope, series number, key and time
    of each addition, and returns what `settle` returned, or None.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        series: Mapping[SeriesKey, Series],
        ordinal: int,
        bind: Callable[[tuple[Any, ...], Callable[[], Any]], Any],
        warming: frozenset[int] = frozenset(),
    ) -> None:
        """`bind(key, make)` gives the object that `make` makes, the same for the same key, whatever the span of days.

        `warming`: the series whose history may begin too late for a window (`scope.since`), which is then missing.
        """
        self.ruleset = ruleset
        self._warming = warming
        self._series = series
        self._ordinal = ordinal
        self._bind = bind
        self.constants: dict[str, Any] = {}
        self._bound: dict[Any, str] = {}
        self._lazy: dict[Any, tuple[str, str]] = {}
        self._first: dict[Any, tuple[str, str]] = {}  # asked before all rules, each after what it needs
        self._prelude: dict[str, str] = {}  # local → code: fields in the form in which they are compared
        self._early: dict[str, str] = {}  # local → code: what every payment needs in any case
        self._at_once_made: dict[Any, str] = {}
        self._temporaries = 0
        self._asked = [(index, rule) for index, rule in enumerate(ruleset.running) if in_effect(rule, ordinal)]
        self._guards: dict[tuple[Condition, bool], int] = {}  # with the number of its bit
        self._texts: dict[str, dict[tuple[Leaf, bool], int]] = {}  # field → what is asked of it, the same
        rests = (rest_of(rule.when) for _, rule in self._asked)
        self._uses = Counter(leaf for rest in rests if rest is not None for leaf in leaves(rest))
        self._texts = {name: {} for name in texts_asked((rule.when for _, rule in self._asked), self._steady)}
        self._keys_at_once = {(each.by, each.fiscal) for each in series if each.where is None}

    def source(self) -> str:
        """The source text of the function."""
        body = self._rules()
        body += [
            "outcome = settle(fired, p, t, amount, day, scope) if fired else None",
            "executed = outcome is None or outcome.executed",
        ]
        # A series whose `where` asks for another one comes before that one.
        for series in reversed([*self._series.values()]):
            body += self._addition(series)
        body.append("return outcome")
        masks = self._masks()
        head = [f"{name} = {code}" for name, code in (*self._prelude.items(), *self._early.items())]
        head += masks
        if self._lazy:
            head.append(" = ".join(name for name, _ in self._lazy.values()) + " = U")
        head += [f"{name} = {code}" for name, code in self._first.values()]  # last: they may ask for all of these
        lines = ["fired = ()", "series = scope.series", *head, *body]
        return self._classify() + self._ask_texts() + _function("judge(p, t, amount, day, scope, settle, log)", lines)

    # --- rules and their guards ---

    def _rules(self) -> list[str]:
        """Code that asks every rule in effect, those whose guards fail in runs."""
        body: list[str] = []
        for guarded, group in groupby(map(self._rule, self._asked), key=lambda each: each[0] > 0):
            rules = list(group)
            run = reduce(or_, (bit for bit, _ in rules))
            indent = "    " if guarded and len(rules) > 1 else ""
            body += [f"if m & {run}:"] if indent else []
            body += [indent + line for _, lines in rules for line in lines]
        return body

    def _masks(self) -> list[str]:
        """Code that looks up what fields of few values and single texts say: once, before anything asks for it."""
        lines: list[str] = []
        for name, asked in self._texts.items():
            if asked:
                text = self.field(name, None).code
                lines += [
                    f"m_{name} = texts_{name}.get({text})",
                    f"if m_{name} is None:",
                    f"    m_{name} = ask_{name}(texts_{name}, {text if text.isidentifier() else 'p'}, day)",
                ]
        if self._guards:
            key = "".join(f"p.{name}, " for name in self._fields)
            lines += [f"m = classes.get(c := ({key}))", "if m is None:", "    m = classes[c] = classify(p, classes)"]
        return lines

    def _rule(self, asked: tuple[int, Rule]) -> tuple[int, list[str]]:
        """The bit of a rule's guard (0: it has none), and the code that asks the rule."""
        index, rule = asked
        strict = rule.on_missing == "pass"
        guard, rest = guard_of(rule.when), rest_of(rule.when)
        bit = 0 if guard is None else 1 << self._guards.setdefault((guard, strict), len(self._guards))
        tests = ([f"m & {bit}"] if bit else []) + ([self._truth(rest, strict)] if rest is not None else [])
        lines = [f"if {' and '.join(tests)}:  # {rule.id}"]
        if strict:
            return bit, [*lines, f"    fired += (({index}, True),)"]
        # What is true is possible: most payments are settled by the first question.
        return bit, [*lines, f"    fired += (({index}, bool({self._truth(rule.when, True)})),)"]

    def _ask_texts(self) -> str:
        """The source of the functions that find what holds, as bits, of a text not met before."""
        self._uses.clear()  # what is asked here is asked nowhere else
        texts, self._texts = self._texts, {}
        functions = ""
        for name, asked in texts.items():
            if asked:
                text = self.field(name, None).code
                bits = [f"({1 << at} if {self._test(leaf, strict)} else 0)" for (leaf, strict), at in asked.items()]
                lines = [
                    f"m = {' | '.join(bits)}",
                    f"if {text} is None or len({text}) <= {LONG_TEXT}:",
                    f"    if len(texts) >= {MOST_TEXTS}:",
                    "        texts.clear()",
                    f"    texts[{text}] = m",
                    "return m",
                ]
                functions += _function(f"ask_{name}(texts, {text if text.isidentifier() else 'p'}, day)", lines)
                self.constants[f"texts_{name}"] = {}
        return functions

    @property
    def _fields(self) -> tuple[str, ...]:
        """The fields that guards ask."""
        asked = {name for guard, _ in self._guards for name in asked_by(guard)}
        return tuple(name for name in CLASSES if name in asked)

    def _classify(self) -> str:
        """The source of the function that finds the guards that hold, as bits, for a combination not met before."""
        if not self._guards:
            return ""
        self._uses.clear()  # what is asked here is asked nowhere else
        bits = [f"({1 << at} if {self._truth(guard, strict)} else 0)" for (guard, strict), at in self._guards.items()]
        lines = [f"if len(classes) >= {MOST_COMBINATIONS}:", "    classes.clear()", f"return {' | '.join(bits)}"]
        self.constants["classes"] = {}
        return _function("classify(p, classes)", lines)

    # --- conditions ---

    def _truth(self, condition: Condition, strict: bool) -> str:
        """Code that asks whether the condition is true (`strict`) or at least missing (not strict)."""
        match condition:
            case All(items):
                return self._joined(" and ", (self._truth(item, strict) for item in in_order(items)))
            case Any_(items):
                return self._joined(" or ", (self._truth(item, strict) for item in in_order(items)))
            case None_(items):
                return "not " + self._joined(" or ", (self._truth(item, not strict) for item in in_order(items)))
            case Not(item):
                return f"not {self._truth(item, not strict)}"
            case Leaf():
                return self._leaf(condition, strict)

    @staticmethod
    def _joined(operator: str, parts: Iterable[str]) -> str:
        return "(" + operator.join(parts) + ")"

    def _leaf(self, leaf: Leaf, strict: bool) -> str:
        asked = self._texts.get(leaf.subject.name) if is_of_text(leaf) and self._steady(leaf) else None
        if asked is not None:
            return f"m_{leaf.subject.name} & {1 << asked.setdefault((leaf, strict), len(asked))}"
        return self._test(leaf, strict)

    def _steady(self, leaf: Leaf) -> bool:
        """Whether the answer to a leaf is the same on every day: no word of its list expires."""
        if not isinstance(leaf.operand, WordList):
            return True
        return not any(self.ruleset.lists[leaf.operand.name].entries.values())

    def _test(self, leaf: Leaf, strict: bool) -> str:
        operator = OPERATORS[leaf.operator]
        simpler = operator.spelled_out(leaf)
        if simpler is not leaf:
            return self._truth(simpler, strict)
        subject = self.operand(leaf.subject, operator.context(leaf.operand))
        guards: list[str] = []
        x = subject.code if operator.sees_missing else self.guarded(subject, strict, guards)
        test = operator.code(self, x, subject.kind, leaf.operand, strict, guards)
        if self._uses[leaf] > 1 and not guards and isinstance(leaf.subject, FieldRef) and not operator.own_subject:
            # Asked by several rules, cheap, and never missing: it is asked once, before all of them.
            local, _ = self._first.setdefault(leaf, (f"b{len(self._first)}", test))
            return local
        return self._joined(" and " if strict else " or ", [*guards, test])

    def guarded(self, value: Expression, strict: bool, guards: list[str]) -> str:
        """A name or code for a value that the tests after `guards` may take as present."""
        if not value.may_miss:
            return value.code
        test = "is not None" if strict else "is None"
        if value.code.isidentifier():
            guards.append(f"{value.code} {test}")
            return value.code
        self._temporaries += 1
        name = f"x{self._temporaries}"
        guards.append(f"({name} := {value.code}) {test}")
        return name

    # --- values ---

    def operand(self, operand: Any, context: Any) -> Expression:
        """Code of an operand. `context` is the kind it will be compared with or, for a subject, the other side, which
        decides the type of an attribute."""
        match operand:
            case FieldRef(name):
                return self.field(name, context)
            case FeatureRef():
                return operand.feature.code(self)
            case Feature():
                return operand.code(self)
            case Param():
                return self._param(operand, context if isinstance(context, Kind) else Kind.INTEGER)
            case _:
                kind = context if isinstance(context, Kind) else Kind.INTEGER
                return Expression(self.literal(runtime_value(operand, kind)), False, kind)

    def literal(self, value: Any) -> str:
        if isinstance(value, Fraction):
            return self.constant(("fraction", value), lambda: value)
        return repr(value)

    def constant(self, key: tuple[Any, ...], make: Callable[[], Any]) -> str:
        """The name of an object made once for the rule set; `key` tells it from all others."""
        if key not in self._bound:
            self._bound[key] = name = f"K{len(self._bound)}"
            self.constants[name] = self._bind(key, make)
        return self._bound[key]

    def _param(self, param: Param, kind: Kind) -> Expression:
        values = {
            segment: None if found is None else runtime_value(found, kind)
            for segment in param.segments
            for found in (param_on(param, segment, self._ordinal),)
        }
        default = values.get(None)
        may_miss = None in values.values() or None not in values
        if param.segment_by is None or (len(values) == 1 and None in values):
            return Expression(self.literal(default), may_miss, kind)
        table = self.constant(("param", param.name, param.segment_by, tuple(values.items())), lambda: values)
        segment = self.field(param.segment_by, None).code
        code = self.once(("param", table), "p", lambda: f"{table}.get({segment}, {self.literal(default)})")
        return Expression(code, may_miss, kind)

    def field(self, name: str, context: Any) -> Expression:
        known = field_of(name)
        assert known is not None, name
        kind, may_miss = known.kind, not known.required
        match kind:
            case Kind.MONEY:
                return Expression("amount", True, kind)
            case Kind.NAME | Kind.ACCOUNT:
                raw = f"r_{name}"
                self._prelude[raw] = f"p.{name}"
                # Most texts are in normal form already: that is asked here, where it costs no call.
                if kind is Kind.ACCOUNT:
                    normal, form = f"{raw}.isascii() and {raw}.isalnum()", "account_form"
                else:
                    normal, form = f"{raw}.isalnum() and is_normalized('NFKC', {raw})", "name_form"
                self._prelude[f"n_{name}"] = f"{raw} if {raw} is None or {normal} else {form}({raw})"
                return Expression(f"n_{name}", may_miss, kind)
            case Kind.DATE:
                self._prelude[f"n_{name}"] = f"p.{name} if p.{name} is None else p.{name}.toordinal()"
                return Expression(f"n_{name}", may_miss, kind)
            case Kind.TIME:
                return Expression("day.ordinal", False, Kind.DATE)
            case Kind.ATTRIBUTE:
                read, kind = self._attribute_type(context)
                local = name.removeprefix("attributes.")
                code = f"attribute_{read}(p.attributes, {local!r})"
                at = next((at for at, made in self._prelude.items() if made == code), f"a{len(self._prelude)}")
                self._prelude[at] = code
                return Expression(at, True, kind)
        if name == "fiscal_year":
            self._prelude["fiscal_year"] = "day.year if p.fiscal_year is None else p.fiscal_year"
            return Expression("fiscal_year", False, kind)
        if name == "currency":
            self._prelude["currency"] = "'CNY' if p.currency is None else p.currency"
            return Expression("currency", False, kind)
        return Expression(f"p.{name}", may_miss, kind)

    def once(self, key: Any, prefix: str, code: Callable[[], str]) -> str:
        """Code for a value that is computed when it is first asked for and kept for the rest of the call.

        A long one, built on many others, is computed before any rule is asked: in each place that asks for it, its
        code would stand again, and with each level of features grow by as much.
        """
        if key in self._first:
            return self._first[key][0]
        if key not in self._lazy:
            made = code()  # first: what it needs must be declared before it
            name = f"{prefix}{len(self._lazy) + len(self._first)}"
            if len(made) > _LONG:
                self._first[key] = (name, made)
                return name
            self._lazy[key] = (name, made)
        name, made = self._lazy[key]
        return f"({name} if {name} is not U else ({name} := {made}))"

    def _at_once(self, key: Any, prefix: str, code: Callable[[], str]) -> str:
        """The local of a value that is computed before any rule is asked, since every payment needs it."""
        if key not in self._at_once_made:
            made = code()
            self._at_once_made[key] = name = f"{prefix}_{len(self._early)}"
            self._early[name] = made
        return self._at_once_made[key]

    # --- series ---

    def _counted(self, series: Series) -> str:
        """Code that asks whether the judged instruction belongs to the series (its keys aside)."""
        tests = []
        if series.key.where is not None:
            tests.append(self._truth(series.key.where, True))
        if series.key.field is not None:
            tests.append(f"{self._own(series)} is not None")
        if series.key.fiscal:
            self.field("fiscal_year", None)
            tests.append("-1 <= day.year - fiscal_year <= 1")
        if not tests:
            return "True"
        return self.once(("counted", series.index), "c", lambda: self._joined(" and ", tests))

    def _own(self, series: Series) -> str:
        """Code of the judged instruction's value of the series' field."""
        assert series.key.field is not None
        return self.field(series.key.field, Kind.INTEGER if series.key.numbers else Kind.ATTRIBUTE).code

    def _key(self, series: Series) -> str:
        """Code of the judged instruction's key in the series; `None` where it lacks one of the fields."""

        def make() -> str:
            names = [*series.key.by, *(["fiscal_year"] if series.key.fiscal else [])]
            values = [self.field(name, Kind.ATTRIBUTE) for name in names]
            parts = []
            for at, value in enumerate(values, 1):
                if value.kind in (Kind.TEXT, Kind.NAME, Kind.ACCOUNT) and at < len(values):
                    parts.append(f"{{len({value.code})}}|{{{value.code}}}")  # so that no two lists of keys read alike
                else:
                    parts.append(f"{{{value.code}}}" + ("|" if at < len(values) else ""))
            missing = " or ".join(f"{value.code} is None" for value in values if value.may_miss)
            if len(values) == 1 and values[0].kind in _TEXT_KINDS:
                code = f"({values[0].code} if len({values[0].code}) <= {LONG_KEY} else digest({values[0].code}))"
            else:
                code = f"(k if len(k := f{''.join(parts)!r}) <= {LONG_KEY} else digest(k))" if parts else "''"
            return f"None if {missing} else {code}" if missing else code

        key = ("key", series.key.by, series.key.fiscal)
        at_once = (series.key.by, series.key.fiscal) in self._keys_at_once
        return self._at_once(key, "k", make) if at_once else self.once(key, "k", make)

    def _entries(self, series: Series) -> str:
        """Code of the entries under the judged instruction's key, `None` if there are none yet."""
        code = f"series[{series.index}].get({self._key(series)})"
        key = ("entries", series.index)
        return self._at_once(key, "e", lambda: code) if series.key.where is None else self.once(key, "e", lambda: code)

    def cut(self, aggregate: Aggregate) -> CutCode:
        """Code for the entries that an aggregate is computed of."""
        series = self._series[series_key(aggregate)]
        key, counted, entries = self._key(series), self._counted(series), self._entries(series)
        if series.key.fiscal:
            after = "BEFORE_ALL"
        elif aggregate.period is not None:
            after = f"{_PERIOD_START[aggregate.period]} - 1"
        else:
            after = f"t - {aggregate.window_us}"
        cut = "cut_values" if series.keeps else "cut_times"
        part = self.once(("cut", series.index, after), "w", lambda: f"{cut}({entries}, {after}, t)")
        absent = [f"{key} is None"] if any(not always_present(name) for name in aggregate.by) else []
        if series.key.fiscal:
            absent.append("not -1 <= day.year - fiscal_year <= 1")
        if series.index in self._warming:
            if series.key.fiscal:
                starts = self.constant(("year_start",), lambda: partial(year_start, self.ruleset.timezone))
                after = f"{starts}(fiscal_year - 1)"
            absent.append(f"{after} < scope.since[{series.index}] - 1")
        own = "None" if series.key.field is None else self._own(series)
        return CutCode(entries, part, counted, own, series.symbolic, tuple(absent))

    def _addition(self, series: Series) -> list[str]:
        tests = ["executed"] if series.key.population == "executed" else []
        counted, key = self._counted(series), self._key(series)
        tests += [counted] if counted != "True" else []
        may_lack_key = any(not always_present(name) for name in series.key.by)
        at, entries = f"series[{series.index}]", self._entries(series)
        if may_lack_key:
            tests.append(f"(k := {key}) is not None")
        lines = [] if may_lack_key else [f"k = {key}"]
        if series.keeps:
            own = f"scope.symbols.take({self._own(series)})" if series.symbolic else self._own(series)
            first, further = f"t << 64 | {own} + BIAS", f"add_entry({at}, k, {entries}, t, {own})"
        else:
            first, further = "t", f"add_time({at}, k, {entries}, t)"
        lines += [f"if {entries} is None:", f"    {at}[k] = {first}", "else:", f"    {further}"]  # most keys are new
        lines.append(f"log += (scope, {series.index}, k, t)")
        if not tests:
            return lines
        return [f"if {' and '.join(tests)}:", *("    " + line for line in lines)]

    def _attribute_type(self, context: Any) -> tuple[str, Kind]:
        """Which accessor reads an attribute, and as what kind, from what it is compared with: a kind, an operand, or
        a tuple of either.
        """
        while isinstance(context, tuple) and context:
            context = context[0]
        if isinstance(context, Param):
            context = next((each.value for dated in context.segments.values() for each in dated), "")
        elif isinstance(context, FieldRef) and not context.name.startswith("attributes."):
            context = self.field(context.name, None).kind
        elif isinstance(context, (FeatureRef, Feature)):
            context = self.operand(context, None).kind
        if context is None:
            return "any", Kind.TEXT
        if context is Kind.ATTRIBUTE:
            return "key", Kind.TEXT
        if isinstance(context, bool) or context is Kind.BOOLEAN:
            return "boolean", Kind.BOOLEAN
        if context is Kind.MONEY:
            return "money", Kind.MONEY
        if isinstance(context, (int, Decimal)) or context is Kind.INTEGER:
            return "number", Kind.INTEGER
        return "text", Kind.TEXT


def _function(head: str, lines: Iterable[str]) -> str:
    return f"def {head}:\n" + "\n".join("    " + line for line in lines) + "\n"
