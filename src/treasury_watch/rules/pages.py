"""The pages that are made of a rule set: its risk points, and its catalogue, as Markdown in both languages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from treasury_watch.domain.payment import name_form
from treasury_watch.domain.verdict import Text
from treasury_watch.rules.catalogue import Row
from treasury_watch.rules.coverage import Coverage, Covered
from treasury_watch.rules.risk_points import STEPS
from treasury_watch.rules.schema import NamedList, Param, Rule, RuleSet, Scalar, WordList

MODES: Mapping[str, Text] = {
    "draft": Text("草稿", "draft"),
    "shadow": Text("试运行", "shadow"),
    "live": Text("启用", "live"),
    "retired": Text("停用", "retired"),
}
LEVELS: Mapping[str, Text] = {
    "grey": Text("灰", "grey"),
    "red": Text("红", "red"),
    "orange": Text("橙", "orange"),
    "yellow": Text("黄", "yellow"),
    "blue": Text("蓝", "blue"),
}
_NOTHING = "—"
_OTHER_STEP = Text("其他", "Other")

# --- risk points ---

_RISK_POINTS_HEAD = """\
# Risk points 风险点

Why the rules exist and what answers a hit, by the steps of centralised payment. Regulations are those of the central
government, by name: local ones with their numbers replace them. Made of `rules/risk-points.yaml` and the rules by
`treasury-watch rules coverage --markdown`: change those, not this page.
"""
_RISK_POINTS_TABLE = (
    "id",
    "risk point 风险点",
    "measure 防控措施",
    "legal basis 依据",
    "who answers 责任主体",
    "rules 规则 (mode, level)",
)


def risk_points_page(covered: Coverage) -> str:
    """Process step → risk point → measure → legal basis → who answers → rules with mode and level."""
    parts = [_RISK_POINTS_HEAD]
    for step in (*STEPS, None):
        points = [each for each in covered.points if each.point.step == step]
        if points:
            title = _OTHER_STEP if step is None else STEPS[step]
            rows = [_point_row(each) for each in points]
            parts.append(f"## {title.en} {title.zh}\n\n{_table(_RISK_POINTS_TABLE, rows)}")
    if covered.pointless:
        rows = [(rule.id, _both(rule.title), rule.risk_point or _NOTHING, _state(rule)) for rule in covered.pointless]
        head = ("rule 规则", "title 名称", "names 所指", "mode, level")
        parts.append(f"## Rules without a risk point 未对应风险点的规则\n\n{_table(head, rows)}")
    return "\n".join(parts)


def _point_row(each: Covered) -> tuple[str, ...]:
    point = each.point
    rules = "<br>".join(f"{rule.id} ({_state(rule)})" for rule in each.rules) or "none 无"
    return (point.id, *map(_both, (point.title, point.measure, point.basis, point.answers)), rules)


def _state(rule: Rule) -> str:
    return f"{rule.mode}, {rule.level}"


# --- the catalogue ---

_CATALOGUE_HEAD = """\
# Catalogue of rules 规则目录

Which rules carry out which row, with what thresholds, what they do not cover, and where false alarms come from.
Thresholds are defaults, to be set locally; amounts are CNY. Made of `rules/catalogue.yaml` and the rules by
`treasury-watch rules coverage --catalogue`: change those, not this page.

Level 级别: grey 灰 prohibit 禁止; red 红 intercept 拦截; orange 橙 warn, with evidence 预警并佐证; yellow 黄 warn 预警;
blue 蓝 record 记录. Mode 状态: live 启用; shadow 试运行, recorded without effect; draft 草稿, only checked;
retired 停用; until: the first day without the rule 失效日.
"""
_OVERVIEW = ("#", "中文", "English", "rules 规则", "level 级别", "mode 状态")
_RULE_TABLE = ("rule 规则", "title 名称", "thresholds 阈值", "reads 引用", "level 级别", "mode 状态")


def catalogue_page(ruleset: RuleSet, rows: Sequence[Row]) -> str:
    """Row → names, rules with thresholds, level and mode, what is not covered, false alarms with what answers them."""
    rules = {rule.id: rule for rule in ruleset.rules}
    overview = _table(_OVERVIEW, [_overview_row(row, rules) for row in rows])
    return "\n".join((_CATALOGUE_HEAD, overview, *(_row_section(row, rules, ruleset.lists) for row in rows)))


def _overview_row(row: Row, rules: Mapping[str, Rule]) -> tuple[str, ...]:
    own = _rules_of(row, rules)
    names = (row.title.zh, row.title.en) if row.title else (_NOTHING, _NOTHING)
    columns = ([rule.id for rule in own], [rule.level for rule in own], [rule.mode for rule in own])
    return (str(row.number), *names, *(" ".join(dict.fromkeys(each)) or _NOTHING for each in columns))


def _rules_of(row: Row, rules: Mapping[str, Rule]) -> list[Rule]:
    return [rules[each.id] for each in row.rules if each.id in rules]


def _row_section(row: Row, rules: Mapping[str, Rule], lists: Mapping[str, NamedList]) -> str:
    title = f"## {row.number}" + (f" {row.title.zh} · {row.title.en}" if row.title else "")
    own = _rules_of(row, rules)
    parts = [title + "\n"]
    if row.left_out is not None:
        parts.append(f"Left out 未列入: {_sentence(row.left_out)}\n")
    elif not own:
        parts.append("No rule yet. 尚无规则。\n")
    if own:
        parts.append(_table(_RULE_TABLE, [_rule_row(rule) for rule in own]))
    if row.not_covered:
        parts.append(_bullets("Not covered 未覆盖", map(_sentence, row.not_covered)))
    alarms = [
        *(f"{_sentence(each.source)} → {_sentence(each.answer)}" for each in row.false_alarms),
        *(line for rule in own for line in _word_alarms(rule, lists)),
    ]
    if alarms:
        parts.append(_bullets("False alarms 误报来源", alarms))
    return "\n".join(parts)


def _rule_row(rule: Rule) -> tuple[str, ...]:
    thresholds = "<br>".join(_threshold(param) for param in rule.params.values()) or _NOTHING
    reads = "<br>".join(_references(rule)) or _NOTHING
    level, mode = LEVELS[rule.level], MODES[rule.mode]
    ends = f"<br>until {rule.effective_until}" if rule.effective_until else ""
    return (rule.id, _both(rule.title), thresholds, reads, f"{level.en} {level.zh}", f"{mode.en} {mode.zh}{ends}")


def _threshold(param: Param) -> str:
    """`limit`: from 2025-01-01: 500,000.00, county 200,000.00; from …"""
    by_day: dict[date | None, list[str]] = {}
    for segment in sorted(param.segments, key=lambda each: each or ""):
        for dated in param.segments[segment]:
            named = "" if segment is None else f"{segment} "
            by_day.setdefault(dated.since, []).append(f"{named}{_value(dated.value)}")
    days = sorted(by_day, key=lambda day: day or date.min)
    shown = [(f"from {day}: " if day else "") + ", ".join(by_day[day]) for day in days]
    return f"`{param.name}` {'; '.join(shown)}"


def _value(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:,}" if isinstance(value, int | Decimal) else str(value)


def _references(rule: Rule) -> list[str]:
    """The lists, tables and calendars that the rule reads."""
    parts = list(_parts((rule.when, rule.features)))
    lists = {f"list {each.name}" for each in parts if isinstance(each, WordList)}
    others = {
        f"{kind} {getattr(each, kind)}" for each in parts for kind in ("table", "calendar") if hasattr(each, kind)
    }
    return sorted(lists | others)


def _word_alarms(rule: Rule, lists: Mapping[str, NamedList]) -> Iterator[str]:
    """Each word of a list that stands inside of words which its rule excepts."""
    for each in _parts((rule.when, rule.features)):
        if isinstance(each, WordList):
            for word in lists[each.name].entries:
                inside = [f"`{longer}`" for longer in each.excepted if name_form(word) in name_form(longer)]
                if inside:
                    listed = " ".join(inside)
                    yield f"`{word}` in {listed} → excepted by {rule.id}, 已排除"


def _parts(part: Any) -> Iterator[Any]:
    """Everything that a part of a rule is made of, itself first."""
    if isinstance(part, Mapping | tuple):
        for each in part.values() if isinstance(part, Mapping) else part:
            yield from _parts(each)
    elif is_dataclass(part):
        yield part
        for slot in fields(part):
            yield from _parts(getattr(part, slot.name))


# --- Markdown ---


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _bullets(title: str, items: Iterable[str]) -> str:
    return f"{title}:\n\n" + "".join(f"- {item}\n" for item in items)


def _both(text: Text | None) -> str:
    return _NOTHING if text is None else f"{text.en}<br>{text.zh}"


def _sentence(text: Text) -> str:
    return f"{text.en.rstrip('.')}. {text.zh.rstrip('。')}。"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
