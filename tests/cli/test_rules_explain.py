"""`rules explain` as its users meet it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.builders import make_instruction
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.cli import run
from treasury_watch.domain.payment import Instruction

RULES = """\
ruleset: test
owner: someone@example.org
timezone: Asia/Shanghai
partition_by: jurisdiction
defaults: {mode: live, action: warn, effective: {from: 2025-01-01}, on_missing: pass}
rules:
- id: SUM-001
  revision: 1
  title: {zh: 当日累计提现, en: Cash of a day}
  params: {limit: 50000.00}
  features:
    withdrawn: {sum: amount, by: [budget_unit, card_no], where: {field: settlement, eq: cash}, period: day}
  when: {all: [{field: settlement, eq: cash}, {feature: withdrawn, gte: $limit}]}
  exceptions:
  - {match: {field: purpose, eq: 抢险救灾}, owner: li@example.org, basis: 武财办7号, expires: 2025-12-31}
  reason: {zh: "累计{withdrawn}元", en: "CNY {withdrawn} together"}
- id: DRAFT-001
  revision: 1
  mode: draft
  title: {zh: 草案, en: Draft}
  when: {field: amount, gt: 1000.00}
  reason: {zh: "{amount}元", en: "CNY {amount}"}
"""
CARD = "6289900000000968"


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Explain = Callable[..., Ran]


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Explain:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "test.yaml").write_text(RULES, encoding="utf-8")

    def call(*arguments: str) -> Ran:
        status = run(["rules", "explain", *arguments, "--rules", "rules"])
        return Ran(status, *capsys.readouterr())

    return call


def cash(number: int, amount: str, hour: int = 9, **rest: Any) -> Instruction:
    fields = {"settlement": "cash", "card_no": CARD, "event_time": f"2025-03-05T{hour:02}:00:00+08:00"} | rest
    return make_instruction(instruction_id=f"PI-{number:04}", amount=amount, **fields)


def write(name: str, *payments: Instruction | bytes) -> str:
    """A file of instructions, gzipped if its name says so."""
    lines = [each if isinstance(each, bytes) else encode_instruction(each) for each in payments]
    data = b"\n".join(lines) + b"\n"
    Path(name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return name


def test_one_instruction_is_judged_on_an_empty_history(explain: Explain) -> None:
    write("one.json", cash(1, "48000.00"))
    status, out, err = explain("SUM-001", "--instruction", "one.json", "--lang", "en")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "SUM-001 revision 1 · Cash of a day",
        "live · warn · on_missing pass · from 2025-01-01",
        "PI-0001 · 2025-03-05 09:00:00+08:00 · 101001 · 48000.00 CNY",
        "It does not fire",
        "✗ false  all",
        "├─ ✓ true  settlement cash  = cash",
        "└─ ✗ false  withdrawn 48,000.00  ≥ $limit 50,000.00",
        "Params",
        "  limit 50,000.00",
        "Features",
        "  withdrawn 48,000.00  sum of amount by budget_unit, card_no, day, where settlement = cash: 1 entry, "
        "2025-03-05 09:00:00, this one included, budget_unit 101001, card_no ************0968",
        "Exceptions",
        "  does not apply  li@example.org, 武财办7号, until 2025-12-31",
        "    ✗ false  purpose 办公用品采购  = 抢险救灾",
        "What would have changed it",
        "  withdrawn: fires from 50,000.00; this one was 48,000.00. "
        "By its amount: fires from 50,000.00; this payment was 48,000.00",
        "verdict of all rules: pass []",
    ]


def test_chinese_readers_get_chinese_words(explain: Explain) -> None:
    write("one.json", cash(1, "50000.00", purpose="抢险救灾"))
    out = explain("SUM-001", "--instruction", "one.json", "--lang", "zh").out
    assert "SUM-001 第1版 · 当日累计提现\nlive · warn · on_missing pass · 自2025-01-01起\n" in out
    assert "命中，但例外适用，不计\n  累计50000.00元\n" in out
    assert "├─ ✓ 真  settlement 现金  = cash\n" in out
    assert (
        "withdrawn低于50,000.00则不命中，本笔为50,000.00；即支付金额低于50,000.00则不命中，本笔金额为50,000.00\n" in out
    )
    assert (
        "where settlement = cash: 1笔, 2025-03-05 09:00:00, 含本笔, budget_unit 101001, card_no ************0968\n"
        in out
    )
    assert "\n例外\n  适用  li@example.org, 武财办7号, 至2025-12-31止\n" in out
    assert out.endswith("\n全部规则的判定: pass [SUM-001]\n")


@pytest.mark.parametrize("name", ["day.jsonl", "day.jsonl.gz"])
def test_an_instruction_of_a_file_has_what_stands_before_it_as_its_history(explain: Explain, name: str) -> None:
    payments = (
        cash(1, "30000.00"),
        cash(2, "9000.00", 10, jurisdiction="420200"),  # another partition: none of its history
        b"nonsense",
        cash(3, "19999.99", 11),
        cash(4, "7000.00", 12),  # after it
    )
    found = json.loads(explain("SUM-001", "--on", write(name, *payments), "--instruction-id", "PI-0003", "--json").out)
    ((feature,), (turn,)) = (found["features"], found["turns"])
    assert (found["truth"], feature["value"], feature["entries"]["count"]) == ("false", "49999.99", 2)
    assert (feature["entries"]["first"], feature["entries"]["last"]) == (
        "2025-03-05T09:00:00+08:00",
        "2025-03-05T11:00:00+08:00",
    )
    assert turn["edge"] == {"at": "50000.00", "direction": "from", "inclusive": True}
    assert turn["amount"] == {"at": "20000.00", "direction": "from", "inclusive": True}
    assert found["decision"] == {"verdict": "pass", "late": False, "hits": []}


def test_what_is_read_is_told_on_stderr(explain: Explain) -> None:
    write("day.jsonl", cash(1, "30000.00"), cash(2, "1.00"))
    assert explain("SUM-001", "--on", "day.jsonl", "--instruction-id", "PI-0002").err == (
        "line 2 of day.jsonl, 1 before it in the same partition judged\n"
    )


def test_an_explanation_as_json_is_whole(explain: Explain) -> None:
    write("one.json", cash(1, "50000.00"))
    found = json.loads(explain("SUM-001", "--instruction", "one.json", "--json").out)
    assert found["condition"]["items"][1] == {
        "form": "leaf",
        "truth": "true",
        "subject": {
            "name": "withdrawn",
            "source": "feature",
            "value": "50000.00",
            "formula": "sum of amount by budget_unit, card_no, day, where settlement = cash",
            "entries": {
                "count": 1,
                "own": True,
                "first": "2025-03-05T09:00:00+08:00",
                "last": "2025-03-05T09:00:00+08:00",
                "by": {"budget_unit": "101001", "card_no": "************0968"},
            },
        },
        "test": "≥ $limit",
        "values": [{"name": "$limit", "source": "param", "value": "50000.00", "since": None, "segment": None}],
        "line": 13,
    }
    assert (found["outcome"], found["reason"]["en"]) == ("hit", "CNY 50000.00 together")
    assert found["evidence"] == {"withdrawn": "50000.00", "limit": "50000.00"}
    assert found["decision"] == {"verdict": "warn", "late": False, "hits": [["SUM-001", "live"]]}
    assert found["exceptions"][0]["applies"] is False


def test_no_card_number_is_shown_whole(explain: Explain) -> None:
    write("one.json", cash(1, "50000.00"))
    for options in ((), ("--json",)):
        out = explain("SUM-001", "--instruction", "one.json", *options).out
        assert CARD not in out
        assert "************0968" in out


def test_a_draft_says_that_it_is_not_judged(explain: Explain) -> None:
    write("one.json", cash(1, "48000.00"))
    out = explain("DRAFT-001", "--instruction", "one.json", "--lang", "en").out
    assert "It fires (a draft: it is not judged)\n  CNY 48000.00\n" in out
    assert "verdict of all rules: pass []" in out


def test_a_day_before_the_rule_says_so(explain: Explain) -> None:
    write("one.json", cash(1, "60000.00", event_time="2024-12-31T23:59:59+08:00"))
    out = explain("SUM-001", "--instruction", "one.json", "--lang", "en").out
    assert "It is not in effect on that day\n" in out
    assert "✓ true  all\n" in out


def test_what_is_missing_is_named(explain: Explain) -> None:
    write("one.json", cash(1, "48000.00", card_no=None))
    out = explain("SUM-001", "--instruction", "one.json", "--lang", "en").out
    assert "It cannot be judged, which on_missing lets pass\n  missing: card_no\n? missing  all\n" in out


def test_control_characters_of_a_payment_do_not_reach_the_terminal(explain: Explain) -> None:
    write("one.json", cash(1, "1.00", purpose="\x1b[2J用途\n第二行"))
    out = explain("SUM-001", "--instruction", "one.json", "--lang", "en").out
    assert "purpose \\x1b[2J用途\\n第二行  = 抢险救灾\n" in out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("SUM-01", "--instruction", "one.json"), "there is no rule `SUM-01`; did you mean `SUM-001`?"),
        (("SUM-001",), "give either --instruction FILE, or --on FILE and --instruction-id ID"),
        (("SUM-001", "--on", "day.jsonl"), "give either --instruction FILE, or --on FILE and --instruction-id ID"),
        (
            ("SUM-001", "--on", "day.jsonl", "--instruction-id", "PI-0O12"),
            "day.jsonl: no instruction `PI-0O12`; did you mean `PI-0012`?",
        ),
        (
            ("SUM-001", "--on", "empty.jsonl", "--instruction-id", "PI-0001"),
            "empty.jsonl: no instruction `PI-0001`; ids are compared as they stand",
        ),
        (("SUM-001", "--on", "none.jsonl", "--instruction-id", "x"), "none.jsonl: No such file or directory"),
        (("SUM-001", "--on", "-", "--instruction-id", "x"), "-: it is read twice, so it must be a file"),
        (("SUM-001", "--instruction", "none.json"), "none.json: No such file or directory"),
        (
            ("SUM-001", "--instruction", "day.jsonl"),
            "day.jsonl: malformed_json: Extra data at line 2 column 1",
        ),
        (("SUM-001", "--instruction", "large.json"), "large.json: too_large: more than 65536 bytes"),
        (("SUM-001", "--instruction", "list.json"), "list.json: schema: expected a JSON object, found an array"),
        (
            ("SUM-001", "--on", "late.jsonl", "--instruction-id", "PI-0002"),
            "PI-0002 gets no verdict, refused as too_late: event_time 2025-01-05T09:00:00+08:00 is too far behind the "
            "newest, 2025-03-05T01:00:00+00:00",
        ),
    ],
)
def test_what_cannot_be_explained_is_told_in_one_line(explain: Explain, arguments: tuple[str, ...], error: str) -> None:
    write("one.json", cash(1, "1.00"))
    write("day.jsonl", *(cash(number, "1.00") for number in range(1, 30)))
    write("late.jsonl", cash(1, "1.00"), cash(2, "1.00", event_time="2025-01-05T09:00:00+08:00"))
    Path("empty.jsonl").write_bytes(b"")
    Path("list.json").write_bytes(b"[]")
    Path("large.json").write_bytes(b" " * 100_000)
    status, out, err = explain(*arguments)
    assert (status, out, err) == (2, "", f"error: {error}\n")


def test_rules_that_do_not_load_are_told_as_check_tells_them(explain: Explain) -> None:
    write("one.json", cash(1, "1.00"))
    Path("rules/test.yaml").write_text(RULES.replace("action: warn", "action: warning"), encoding="utf-8")
    status, out, err = explain("SUM-001", "--instruction", "one.json")
    assert (status, out) == (2, "")
    assert "error TW103: `action` is `warning`" in err
