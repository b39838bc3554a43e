"""The tree of an explanation in the terminal: every condition with its truth in words and in colour, and its values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from rich.text import Text as Line

from treasury_watch.cli.console import console, on_one_line
from treasury_watch.domain.verdict import Decision, Text
from treasury_watch.engine.explain import Entries, Exempt, Explanation, Node, Term
from treasury_watch.engine.shown import Shown

Language = Literal["zh", "en", "both"]

_TRUTHS = {
    True: ("✓", Text(zh="真", en="true"), "green"),
    False: ("✗", Text(zh="假", en="false"), "red"),
    None: ("?", Text(zh="缺失", en="missing"), "yellow"),
}
_OUTCOMES = {
    "hit": (Text(zh="命中", en="It fires"), "bold red"),
    "excepted": (Text(zh="命中，但例外适用，不计", en="It fires, and an exception withholds the hit"), "bold yellow"),
    "cannot_judge": (
        Text(zh="无法判断，按 on_missing 处理", en="It cannot be judged, and on_missing acts"),
        "bold yellow",
    ),
    "missing": (
        Text(zh="无法判断，按 on_missing 放行", en="It cannot be judged, which on_missing lets pass"),
        "bold yellow",
    ),
    "no_hit": (Text(zh="未命中", en="It does not fire"), "bold green"),
    "not_in_effect": (Text(zh="当日未生效", en="It is not in effect on that day"), "bold yellow"),
}
_MODES = {
    "draft": Text(zh="草案：不参与判定", en="a draft: it is not judged"),
    "shadow": Text(zh="试运行：不影响结论", en="in shadow: without effect on the verdict"),
    "retired": Text(zh="已停用：不再判定", en="retired: no longer judged"),
}
_MISSING = Text(zh="缺少", en="missing")
_REVISION = Text(zh="第{}版", en="revision {}")
_FROM = Text(zh="自{}起", en="from {}")
_UNTIL = Text(zh="至{}前", en="until {}")
_EXPIRES = Text(zh="至{}止", en="until {}")
_SPAN = Text(zh="{}至{}", en="{} to {}")
_OWN = {
    True: Text(zh="含本笔", en="this one included"),
    False: Text(zh="不含本笔", en="this one not included"),
}
_APPLIES = Text(zh="适用", en="applies")
_EXPIRED = Text(zh="已过期", en="expired")
_DOES_NOT_APPLY = Text(zh="不适用", en="does not apply")
_VERDICT = Text(zh="全部规则的判定", en="verdict of all rules")
_LATE = Text(zh="迟到", en="late")
_HEADINGS = {
    "params": Text(zh="参数", en="Params"),
    "features": Text(zh="特征", en="Features"),
    "exceptions": Text(zh="例外", en="Exceptions"),
    "turns": Text(zh="怎样会不同", en="What would have changed it"),
}


def show(lines: Iterable[Line]) -> None:
    """Lines on stdout, each on one line, whatever stands in the fields of a payment."""
    terminal = console()
    for line in lines:
        terminal.print(line if line.plain.isprintable() else Line(on_one_line(line.plain)), soft_wrap=True)


def summary_lines(explanation: Explanation, language: Language) -> Iterator[Line]:
    """The rule, the payment, and what the rule says of it."""
    rule, paid = explanation.rule, explanation.instruction
    title = said(rule.title, language, " · ")
    yield Line.assemble((f"{rule.id}", "bold"), f" {word(_REVISION, language, rule.revision)} · {title}")
    days = [
        word(text, language, day) for text, day in ((_FROM, rule.effective_from), (_UNTIL, rule.effective_until)) if day
    ]
    yield Line(" · ".join([rule.mode, rule.action, f"on_missing {rule.on_missing}", *days]), "dim")
    currency = paid.currency or "CNY"
    yield Line(
        f"{paid.instruction_id} · {explanation.event_time} · {paid.budget_unit} · {paid.amount} {currency}", "dim"
    )
    yield outcome_line(explanation, language)
    if explanation.missing:
        yield Line(f"  {said(_MISSING, language)}: {', '.join(explanation.missing)}", "yellow")
    if explanation.hit is not None:
        yield from (Line(f"  {each}") for each in _each(explanation.hit.reason, language))


def outcome_line(explanation: Explanation, language: Language) -> Line:
    """What the rule says, and what its mode makes of that."""
    text, style = _OUTCOMES[explanation.outcome]
    line = Line.assemble((said(text, language, " · "), style))
    mode = _MODES.get(explanation.rule.mode)
    return line if mode is None else line.append(f" ({said(mode, language, ' · ')})", "yellow")


def detail_lines(explanation: Explanation, language: Language) -> Iterator[Line]:
    """The conditions, the values they rest on, the exceptions, and what would have changed the outcome."""
    yield from _tree(explanation.node, language)
    yield from _section("params", (_param(each, language) for each in explanation.params), language)
    yield from _section("features", (_feature(each, language) for each in explanation.features), language)
    yield from _section("exceptions", _exceptions(explanation.exceptions, language), language)
    turns = (Line(each) for _, text in explanation.turns for each in _each(text, language))
    yield from _section("turns", turns, language)


def verdict_line(decision: Decision, language: Language) -> Line:
    """What all rules come to."""
    hits = ", ".join(f"{hit.rule}{'' if hit.mode == 'live' else f' ({hit.mode})'}" for hit in decision.hits)
    late = f", {word(_LATE, language)}" if decision.late else ""
    return Line(f"{word(_VERDICT, language)}: {decision.verdict} [{hits}]{late}")


def word(text: Text, language: Language, *values: object) -> str:
    """A short text in Chinese for those who read Chinese alone, else in English, with values in its places."""
    return (text.zh if language == "zh" else text.en).format(*values)


def said(text: Text, language: Language, between: str = " ") -> str:
    """A text in one language, or in both."""
    return between.join(dict.fromkeys(_each(text, language)))


def _each(text: Text, language: Language) -> tuple[str, ...]:
    return (text.zh, text.en) if language == "both" else (getattr(text, language),)


def _section(name: str, lines: Iterable[Line], language: Language) -> Iterator[Line]:
    for at, line in enumerate(lines):
        if at == 0:
            yield Line(said(_HEADINGS[name], language), "bold")
        yield Line("  ").append_text(line)


# --- conditions ---


def _tree(node: Node, language: Language, first: str = "", rest: str = "") -> Iterator[Line]:
    yield Line.assemble((first, "dim")).append_text(_condition(node, language))
    for at, item in enumerate(node.items, 1):
        last = at == len(node.items)
        yield from _tree(item, language, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))


def _condition(node: Node, language: Language) -> Line:
    mark, truth, style = _TRUTHS[node.truth]
    line = Line.assemble((f"{mark} {said(truth, language)}", style), "  ")
    if node.subject is None:
        return line.append(node.form)
    line.append(f"{node.subject.phrase} ").append_text(_value(node.subject.value, language)).append(f"  {node.test}")
    if len(node.terms) == 1 and node.test.endswith(node.terms[0].phrase):
        return line.append(" ").append_text(_value(node.terms[0].value, language))
    for at, term in enumerate(node.terms):
        line.append(" (" if at == 0 else ", ").append(f"{term.phrase} ").append_text(_value(term.value, language))
    return line.append(")") if node.terms else line


def _value(shown: Shown | None, language: Language) -> Line:
    if shown is None:
        return Line("（缺失）" if language == "zh" else "(missing)", "yellow")
    if language == "both" and shown.zh != shown.en:
        return Line(f"{shown.en} {shown.zh}", "cyan")
    return Line(shown.zh if language == "zh" else shown.en, "cyan")


# --- values ---


def _param(term: Term, language: Language) -> Line:
    line = Line(f"{term.phrase.removeprefix('$')} ").append_text(_value(term.value, language))
    since = [word(_FROM, language, term.since)] if term.since else []
    segment = [_value(term.segment, language).plain] if term.segment else []
    return line.append(f"  {', '.join([*since, *segment])}", "dim") if since or segment else line


def _feature(term: Term, language: Language) -> Line:
    line = Line(f"{term.phrase} ").append_text(_value(term.value, language)).append(f"  {term.formula}", "dim")
    return line if term.entries is None else line.append(f": {_entries(term.entries, language)}", "dim")


def _entries(entries: Entries, language: Language) -> str:
    keys = "".join(f", {name} {shown.plain}" for name, shown in entries.by)
    if not entries.count or entries.first is None or entries.last is None:
        return word(_count(0), language) + keys
    first, last = (each.isoformat(sep=" ", timespec="seconds")[:19] for each in (entries.first, entries.last))
    span = first if first == last else word(_SPAN, language, first, last)
    return f"{word(_count(entries.count), language)}, {span}, {word(_OWN[entries.own], language)}{keys}"


def _count(entries: int) -> Text:
    if entries == 0:
        return Text(zh="无", en="no entries")
    return Text(zh=f"{entries}笔", en="1 entry" if entries == 1 else f"{entries} entries")


def _exceptions(exceptions: tuple[Exempt, ...], language: Language) -> Iterator[Line]:
    for each in exceptions:
        state = _APPLIES if each.applies else _EXPIRED if each.expired else _DOES_NOT_APPLY
        until = word(_EXPIRES, language, each.expires)
        yield Line.assemble(
            (word(state, language), "yellow" if each.applies else "dim"), f"  {each.owner}, {each.basis}, {until}"
        )
        yield from (Line("  ").append_text(line) for line in _tree(each.node, language))
