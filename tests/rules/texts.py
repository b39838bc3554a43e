"""Rule files for tests: what a test does not say is plain."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from treasury_watch.rules import Diagnostic, check, read
from treasury_watch.rules.schema import Rule, RuleSet

HEAD = """\
ruleset: office
owner: treasury-monitoring@example.gov
timezone: Asia/Shanghai
partition_by: jurisdiction
defaults: {mode: live, action: warn}
rules:
"""
RULE = """\
- id: RULE-001
  revision: 1
  title: {zh: 规则, en: Rule}
"""
REASON = '  reason: {zh: "金额{amount}元", en: "CNY {amount}"}\n'
CARDS = {
    "tables/official_cards.yaml": b"""\
table: official_cards
owner: li@example.gov
basis: register
key: [card_no]
columns:
  {card_no: account, holder: name, credit_limit: money, uses: integer, share: number, issued: date, open: boolean}
""",
    "tables/official_cards.csv": """\
card_no,holder,credit_limit,uses,share,issued,open
6283-0001,张敏,50000.00,3,0.25,2025-01-01,true
6283 0002,李强,20000,,,,
""".encode(),
}
LISTS = {"lists/debarred.yaml": b'list: debarred\nowner: a\nbasis: b\nentries: ["6283"]\n'}
SECOND_US = 1_000_000


def rule_file(body: str, *, reason: str = REASON, tail: str = "") -> bytes:
    """A file of one rule, `body` being the indented keys that matter to the test."""
    return (HEAD + RULE + body + reason + tail).encode()


def read_set(*bodies: str, files: Mapping[str, bytes] | None = None, tail: str = "") -> RuleSet:
    """The rule set of rules RULE-001, RULE-002 … with those bodies; it must be in order."""
    rules = "".join(RULE.replace("001", f"{number:03d}") + body + REASON for number, body in enumerate(bodies, 1))
    ruleset, diagnostics = read({"office.yaml": (HEAD + rules + tail).encode(), **(files or {})})
    assert diagnostics == []
    assert ruleset is not None
    return ruleset


def read_rule(body: str, *, files: Mapping[str, bytes] | None = None) -> Rule:
    (rule,) = read_set(body, files={**CARDS, **LISTS, **(files or {})}).rules
    return rule


def errors_of(body: str, *, reason: str = REASON, tail: str = "") -> list[tuple[str, str]]:
    """Code and pointed-at text of every diagnostic of a rule with that body."""
    data = rule_file(body, reason=reason, tail=tail)
    ruleset, diagnostics = read({"office.yaml": data, **CARDS, **LISTS})
    assert (ruleset is None) == bool(diagnostics)
    return [(each.code, pointed_at(each, data)) for each in diagnostics]


def findings_of(text: str, *, as_of: date = date(2025, 6, 1), **files: str) -> list[str]:
    """Codes of the findings of good keeping of a rule file; `files` are named by stem: `rules_lock`, `risk_points`."""
    names = {"rules_lock": "rules.lock", "risk_points": "risk-points.yaml"}
    all_files = {"office.yaml": text.encode()} | {names[name]: content.encode() for name, content in files.items()}
    ruleset, diagnostics = read(all_files)
    assert diagnostics == []
    assert ruleset is not None
    return [each.code for each in check(ruleset, all_files, as_of)]


def pointed_at(each: Diagnostic, data: bytes) -> str:
    """What the span of a diagnostic covers."""
    line = data.decode().splitlines()[each.span.line - 1]
    return line[each.span.column - 1 :][: each.span.length]
