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
from math import floor
from operator import attrgetter, or_
from typing import Any

from treasury_watch.domain.calendar import year_start
from treasury_watch.domain.payment import Kind, field_of
from treasury_watch.rules.evaluation import CutCode, Expression
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.guards import (
    AMOUNT,
    CLASSED,
    CLASSES,
    LONG_TEXT,
    MOST_COMBINATIONS,
    MOST_TEXTS,
    guard_of,
    in_order,
    is_of_amount,
    is_of_classes,
    is_of_text,
    limits_of,
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

_RUN = 8  # rules whose guards are asked together first
_PLAIN_TEST = 60  # characters: a shorter test is repeated, since remembering its answer would cost as much
_LONG = 4_000  # characters of code for one value: beyond it stands once, before all rules, and others name it
_TEXT_KINDS = (Kind.TEXT, Kind.NAME, Kind.ACCOUNT, Kind.ENUM)
_SLOT, _OWN = attrgetter("slot"), attrgetter("own")
_PERIOD_START = {"day": "day.day_us", "week": "day.week_us", "month": "day.month_us", "quarter": "day.quarter_us"}


class Compiler:
    """Generates the source of `judge` for one span of days, and the constants that it refers to by name.

    `judge(p, t, amount, day, scope, settle, log)` takes an instruction, its event time (microseconds), its amount in
    CNY (fen, or None), its local day and the scope of its partition-key value. It calls `settle(fired, …)` if a rule
    fired, adds the instruction to the series that it belongs to, extends `log` by the scope, the series that it was
    added to (as bits) and its row (see `rules.plan`), and returns what `settle` returned, or None.
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
        texts = texts_asked((rule.when for _, rule in self._asked), self._steady)
        self._sources: dict[str, list[tuple[int, Condition, bool]]] = {
            CLASSED: [],
            AMOUNT: [],
            **{each: [] for each in texts},
        }
        self._answers: dict[str, dict[tuple[Leaf, bool], int]] = {source: {} for source in self._sources}
        self._answering: str | None = None  # the source for which code is made that finds what it says
        self._found: dict[Leaf, tuple[str, str]] = {}  # what holds of a text: local and code, each found out once
        rests = (rest_of(rule.when, self._source) for _, rule in self._asked)
        self._uses = Counter(leaf for rest in rests if rest is not None for leaf in leaves(rest))
        grouped = {name for each in series for name in each.by}
        self._at_hand = grouped | set(texts)  # fields whose normal form nearly every payment needs
        self._keys_at_once = {each.grouped_by for each in series if each.where is None}

    def source(self) -> str:
        """The source text of the function."""
        body = self._rules()
        body.append("outcome = settle(fired, p, t, amount, day, scope) if fired else None")
        body += self._memberships()
        body.append("return outcome")
        asked = [self._ask(source) for source in self._sources]
        head = [f"{name} = {code}" for name, code in (*self._prelude.items(), *self._early.items())]
        head += [line for lines, _ in asked for line in lines]
        guards = [f"m_{source}" for source, guarded in self._sources.items() if guarded]
        head += [f"m = {' & '.join(guards)}"] if guards else []
        if self._lazy:
            head.append(" = ".join(name for name, _ in self._lazy.values()) + " = U")
        head += [f"{name} = {code}" for name, code in self._first.values()]  # last: they may ask for all of these
        lines = ["fired = ()", "series = scope.series", *head, *body]
        functions = "".join(function for _, function in asked)
        return functions + _function("judge(p, t, amount, day, scope, settle, log)", lines)

    # --- rules and their guards ---

    def _rules(self) -> list[str]:
        """Code that asks every rule in effect; of those that have guards several at once first."""
        body: list[str] = []
        rules = [self._rule(at, asked) for at, asked in enumerate(self._asked)]
        for guarded, group in groupby(rules, key=lambda each: each[0] > 0):
            each_rule = list(group)
            for start in range(0, len(each_rule), _RUN):
                run = each_rule[start : start + _RUN]
                together = guarded and len(run) > 1
                body += [f"if m & {reduce(or_, (bit for bit, _ in run))}:"] if together else []
                body += ["    " * together + line for _, lines in run for line in lines]
        return body

    def _rule(self, at: int, asked: tuple[int, Rule]) -> tuple[int, list[str]]:
        """The bit of a rule's guards (0: it has none), and the code that asks the rule."""
        index, rule = asked
        strict = rule.on_missing == "pass"
        bit = 0
        for source, guarded in self._sources.items():
            guard = guard_of(rule.when, lambda leaf, source=source: self._source(leaf) == source)  # type: ignore[misc]
            if guard is not None:
                bit = 1 << at
                guarded.append((bit, guard, strict))
        rest = rest_of(rule.when, self._source)
        tests = ([f"m & {bit}"] if bit else []) + ([self._truth(rest, strict)] if rest is not None else [])
        lines = [f"if {' and '.join(tests)}:  # {rule.id}"]
        if strict:
            return bit, [*lines, f"    fired += (({index}, True),)"]
        # What is true is possible: most payments are settled by the first question.
        return bit, [*lines, f"    fired += (({index}, bool({self._truth(rule.when, True)})),)"]

    def _source(self, leaf: Leaf) -> str | None:
        """The source that answers a leaf; `None` if it takes more than one."""
        if is_of_classes(leaf):
            return CLASSED
        if is_of_amount(leaf):
            return AMOUNT
        name = leaf.subject.name if isinstance(leaf.subject, FieldRef) else None
        return name if name in self._sources and is_of_text(leaf) and self._steady(leaf) else None

    def _ask(self, source: str) -> tuple[list[str], str]:
        """Code that looks up what a source says, as bits of rules that it does not rule out and of leaves that hold,
        and the source of the function that finds it for what was not met before.
        """
        guarded, answers = self._sources[source], self._answers[source]
        if not guarded and not answers:
            return [], ""
        self._uses.clear()  # what is asked here is asked nowhere else
        self._answering = source
        always = ((1 << len(self._asked)) - 1) & ~sum(bit for bit, _, _ in guarded)
        bits = [f"({bit} if {self._truth(guard, strict)} else 0)" for bit, guard, strict in guarded]
        bits += [f"({1 << at} if {self._leaf(leaf, strict)} else 0)" for (leaf, strict), at in answers.items()]
        found = " | ".join([str(always), *bits])
        asked = [leaf for _, guard, _ in guarded for leaf in leaves(guard)] + [leaf for leaf, _ in answers]
        if source == AMOUNT:
            lines, function = self._ask_amount(found, asked)
        elif source == CLASSED:
            lines, function = self._ask_classes(found, asked)
        else:
            lines, function = self._ask_text(source, found)
        self._answering = None
        self._found.clear()
        return lines, function

    def _ask_amount(self, found: str, asked: list[Leaf]) -> tuple[list[str], str]:
        limits = {self._limit(each) for leaf in asked for each in limits_of(leaf)} - {None}
        edges = sorted({edge for limit in limits for edge in (floor(limit), floor(limit) + 1)})
        self.constants["edges"] = edges
        self.constants["stretches"] = [None] * (len(edges) + 2)  # the last: of a missing amount
        lines = [
            "at = -1 if amount is None else bisect_right(edges, amount)",
            "m_amount = stretches[at]",
            "if m_amount is None:",
            "    m_amount = stretches[at] = ask_amount(amount)",
        ]
        return lines, _function("ask_amount(amount)", [f"return {found}"])

    def _limit(self, operand: Any) -> Any:
        value = param_on(operand, None, self._ordinal) if isinstance(operand, Param) else operand
        return None if value is None else runtime_value(value, Kind.MONEY)

    def _ask_classes(self, found: str, asked: list[Leaf]) -> tuple[list[str], str]:
        self.constants["classes"] = {}
        names = {leaf.subject.name for leaf in asked}
        parts = [f"p.{name}" for name in CLASSES if name in names]
        parts += [f"p.{name} is None" for name in sorted(names - set(CLASSES))]
        key = "".join(f"{part}, " for part in parts)
        lines = [f"m_classes = classes.get(c := ({key}))", "if m_classes is None:", "    m_classes = ask_classes(c, p)"]
        body = [
            f"if len(classes) >= {MOST_COMBINATIONS}:",
            "    classes.clear()",
            f"m = classes[c] = {found}",
            "return m",
        ]
        return lines, _function("ask_classes(c, p)", body)

    def _ask_text(self, name: str, found: str) -> tuple[list[str], str]:
        self.constants[f"texts_{name}"] = {}
        text = self.field(name, None).code
        given = text if text.isidentifier() else "p"
        lines = [
            f"m_{name} = texts_{name}.get({text})",
            f"if m_{name} is None:",
            f"    m_{name} = ask_{name}(texts_{name}, {given}, day)",
        ]
        body = [
            *(f"{local} = {code}" for local, code in self._found.values()),
            f"m = {found}",
            f"if {text} is None or len({text}) <= {LONG_TEXT}:",
            f"    if len(texts) >= {MOST_TEXTS}:",
            "        texts.clear()",
            f"    texts[{text}] = m",
            "return m",
        ]
        return lines, _function(f"ask_{name}(texts, {given}, day)", body)

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
        if self._answering is not None:
            return self._answer(leaf, strict)
        source = self._source(leaf)
        if source is None:
            return self._test(leaf, strict)
        answers = self._answers[source]
        return f"m_{source} & {1 << answers.setdefault((leaf, strict), len(self._asked) + len(answers))}"

    def _answer(self, leaf: Leaf, strict: bool) -> str:
        """Code that asks a leaf of the source that is being answered."""
        name = leaf.subject.name
        if leaf.operator == "is_missing" and self._answering == CLASSED:
            return f"(p.{name} {'is' if leaf.operand else 'is not'} None)"
        if self._answering in (CLASSED, AMOUNT):
            return self._test(leaf, strict)
        if leaf not in self._found:
            code = self._test(leaf, True)
            self._found[leaf] = (f"l{len(self._found)}", code)
        local, _ = self._found[leaf]
        # Of a text that is there, what is true and what is at least missing is the same.
        return (
            local
            if strict or OPERATORS[leaf.operator].sees_missing
            else f"({self.field(name, None).code} is None or {local})"
        )

    @property
    def remembers(self) -> bool:
        return self._answering is not None

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
                # Most texts are in normal form already: that is asked here, where it costs no call.
                if kind is Kind.ACCOUNT:
                    normal, form = "r.isascii() and r.isalnum()", "account_form"
                else:
                    normal, form = "r.isalnum() and is_normalized('NFKC', r)", "name_form"
                code = f"r if (r := p.{name}) is None or {normal} else {form}(r)"
                if name not in self._at_hand:
                    return Expression(self.once(("field", name), "n", lambda: code), may_miss, kind)
                self._prelude[f"n_{name}"] = code
                return Expression(f"n_{name}", may_miss, kind)
            case Kind.DATE:
                code = f"None if p.{name} is None else p.{name}.toordinal()"
                if name not in self._at_hand:
                    return Expression(self.once(("field", name), "n", lambda: code), may_miss, kind)
                self._prelude[f"n_{name}"] = code
                return Expression(f"n_{name}", may_miss, kind)
            case Kind.TIME:
                return Expression("day.ordinal", False, Kind.DATE)
            case Kind.ATTRIBUTE:
                read, kind = self._attribute_type(context)
                local = name.removeprefix("attributes.")
                code = f"attribute_{read}(p.attributes, {local!r})"
                if name not in self._at_hand:
                    return Expression(self.once(("field", code), "a", lambda: code), True, kind)
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
        code = " and ".join(tests) if len(tests) == 1 else self._joined(" and ", tests)
        if len(code) <= _PLAIN_TEST:
            return code
        return self.once(("counted", series.index), "c", lambda: code)

    def _own(self, series: Series) -> str:
        """Code of the judged instruction's value of the series' field."""
        assert series.key.field is not None
        return self.field(series.key.field, Kind.INTEGER if series.key.numbers else Kind.ATTRIBUTE).code

    def _key(self, series: Series) -> str:
        """Code of the judged instruction's key in the series; `None` where it lacks one of the fields."""

        def make() -> str:
            values = [self.field(name, Kind.ATTRIBUTE) for name in series.key.grouped_by]
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

        key = ("key", series.key.grouped_by)
        at_once = series.key.grouped_by in self._keys_at_once
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

    def _memberships(self) -> list[str]:
        """Code that adds the instruction to the series that it belongs to, and a row of the log that says so.

        What it belongs to is found out before anything is added: a `where` may ask for another series.
        """
        if not self._series:
            return []
        counted = {series.index: self._counted(series) for series in self._series.values()}
        lines = []
        for index, code in counted.items():
            if len(code) > _PLAIN_TEST:
                lines.append(f"d{index} = {code}")
                counted[index] = f"d{index}"
        keys = [(slot if at_once else f"q{at}") for at, (slot, at_once) in enumerate(map(self._slot, self._by_slot()))]
        later = [key for key in keys if key.startswith("q")]
        # What can fail is before this line: see `engine.failsafe`, which knows the local by its name.
        lines += ["mask = 0", *([f"{' = '.join(later)} = None"] if later else [])]
        lines += [
            f"i{group[0].own} = None if {own} is None else t << 64 | {own} + BIAS"
            for group, own in zip(_owning(self._series.values()), self._owns(), strict=True)
            if not group[0].symbolic
        ]
        row = ", ".join(["t", "mask", *self._owns(), *keys])
        attempted = sum(1 << series.index for series in self._series.values() if series.key.population == "attempted")
        return [
            *lines,
            "if outcome is None or outcome.executed:",
            *("    " + line for line in self._added(counted, -1)),
            f"    log += (scope, mask, ({row}))",
            "else:",
            *("    " + line for line in self._added(counted, attempted)),
            f"    log += (scope, mask & {attempted}, ({row}))",
        ]

    def _by_slot(self) -> list[list[Series]]:
        """The series by the place of their key in a row."""
        return [[*group] for _, group in groupby(sorted(self._series.values(), key=_SLOT), key=_SLOT)]

    def _slot(self, group: list[Series]) -> tuple[str, bool]:
        """Code of the key of all these series, and whether it is a local that is there at once."""
        key = self._key(group[0])
        return key, key.isidentifier()

    def _owns(self) -> list[str]:
        """Code of the values that a row holds, in the order of their places."""
        return [self._own(group[0]) for group in _owning(self._series.values())]

    def _added(self, counted: Mapping[int, str], adding: int) -> list[str]:
        """Code that finds the series, as bits of `mask`, and adds the instruction to those among `adding`."""
        lines: list[str] = []
        for at, group in enumerate(self._by_slot()):
            key, at_once = self._slot(group)
            may_lack_key = any(not always_present(name) for name in group[0].key.by)
            held = key if at_once else f"q{at}"
            block: list[str] = []
            if always := sum(1 << series.index for series in group if counted[series.index] == "True"):
                block.append(f"mask |= {always}")
            for series in group:
                test, addition = (
                    counted[series.index],
                    self._addition(series, held) if adding >> series.index & 1 else [],
                )
                if test == "True":
                    block += addition
                    continue
                addition = [f"mask |= {1 << series.index}", *addition]
                if at_once:
                    block += [f"if {test}:", *("    " + line for line in addition)]
                elif may_lack_key:
                    block += [f"if {test} and ({held} := {key}) is not None:", *("    " + line for line in addition)]
                else:
                    block += [f"if {test}:", f"    {held} = {key}", *("    " + line for line in addition)]
            guarded = at_once and may_lack_key
            lines += [f"if {key} is not None:"] if guarded else []
            lines += ["    " * guarded + line for line in block]
        return lines

    def _addition(self, series: Series, key: str) -> list[str]:
        """Code that adds the instruction to a series under a key that it has."""
        at, entries = f"series[{series.index}]", self._entries(series)
        lines = [] if entries.isidentifier() else [f"e = {entries}"]
        entries = entries if entries.isidentifier() else "e"
        if not series.keeps:
            first, further = "t", f"add_time({at}, {key}, {entries}, t)"
        elif series.symbolic:
            own = f"scope.symbols.take({self._own(series)})"
            first, further = f"beside(t, {own})", f"add_entry({at}, {key}, {entries}, t, {own})"
        else:
            first, further = f"i{series.own}", f"add_entry({at}, {key}, {entries}, t, {self._own(series)})"
        return [*lines, f"if {entries} is None:", f"    {at}[{key}] = {first}", "else:", f"    {further}"]

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


def _owning(series: Iterable[Series]) -> list[list[Series]]:
    """The series that keep values, by the place of their value in a row."""
    keeping = sorted((each for each in series if each.keeps), key=_OWN)
    return [[*group] for _, group in groupby(keeping, key=_OWN)]
