"""Back-tests: what is counted of past payments, by one rule set and by two."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.builders import make_instruction
from tests.rulesets import DAY, aggregate, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch.adapters.backtest import (
    BackTest,
    BadLabels,
    Labels,
    Source,
    as_json,
    back_test,
    read_labels,
    source_of,
)
from treasury_watch.adapters.backtest.labels import ratio
from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.replay import Refused
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.verdict import Text
from treasury_watch.rules.canonical import logic_hash
from treasury_watch.rules.schema import All, Exception_, Rule, RuleSet

SOURCE = Source("payments.jsonl", "0" * 64)
LARGE = make_rule("AMT-001", leaf("amount", "gte", yuan("500000.00")), reason=Text("支付{amount}元", "CNY {amount}"))


def pay(amount: str, number: int = 1, **fields: Any) -> Any:
    return make_instruction(instruction_id=f"PI-{number}", amount=amount, **fields)


def lines(*values: Any) -> list[Line]:
    return [
        Line(number, each if isinstance(each, bytes) else encode_instruction(each))
        for number, each in enumerate(values, 1)
    ]


def result(file: list[Line], *rules: Rule, **options: Any) -> dict[str, Any]:
    """The result as its readers get it, through JSON."""
    ruleset = options.pop("ruleset", None) or make_ruleset(*rules)
    return dict(json.loads(json.dumps(as_json(back_test(file, ruleset, **options), SOURCE))))


def amounts(*each: str, **fields: Any) -> list[Line]:
    return lines(*(pay(amount, number, **fields) for number, amount in enumerate(each, 1)))


def rule_of(found: dict[str, Any], rule: str) -> dict[str, Any]:
    return next(dict(each) for each in found["rules"] if each["id"] == rule)


# --- counts ---


def test_each_line_is_a_payment_a_duplicate_or_refused() -> None:
    first, told = pay("500000.00"), list[Refused]()
    found = result(lines(b"no json", first, first, pay("1.00"), pay("2.00", 2), b'{"x":1}'), LARGE, refused=told.append)
    assert found["file"]["lines"] == 6
    assert (found["payments"], found["duplicates"]) == (2, 1)
    assert found["refused"] == {"conflicting_duplicate": 1, "malformed_json": 1, "schema": 1}
    assert [(each.line, each.reason) for each in told] == [
        (1, "malformed_json"), (4, "conflicting_duplicate"), (6, "schema"),
    ]  # fmt: skip
    assert found["verdicts"] == {"pass": 1, "warn": 0, "intercept": 1, "prohibit": 0}


def test_a_rule_has_its_hits_share_and_the_hash_of_its_logic() -> None:
    found = rule_of(result(amounts("499999.99", "500000.00", "1.00", "2.00"), LARGE), "AMT-001")
    assert (found["hits"], found["payments"], found["share"]) == (1, 4, 0.25)
    assert (found["revision"], found["mode"], found["logic"]) == (1, "live", logic_hash(LARGE))


def test_months_are_local_ones_up_to_the_last_second_of_the_year() -> None:
    late, early = "2025-12-31T15:59:59+00:00", "2025-12-31T16:00:00+00:00"
    found = result(lines(pay("500000.00", 1, event_time=late), pay("500000.00", 2, event_time=early)), LARGE)
    assert rule_of(found, "AMT-001")["by_month"] == {"2025-12": 1, "2026-01": 1}
    assert list(found["months"]) == ["2025-12", "2026-01"]
    assert (found["file"]["first_day"], found["file"]["last_day"]) == ("2025-12-31", "2026-01-01")


def test_refunds_that_are_held_are_summed_by_themselves() -> None:
    every = make_rule("ALL-001", leaf("amount", "is_missing", False))
    found = result(amounts("100.50", "-30.25", "0.00"), every)
    assert found["held"] == {
        "payments": 3, "amount": "100.50", "refunds": 1, "refund_amount": "-30.25", "unconverted": 0,
    }  # fmt: skip


def test_an_amount_in_a_currency_without_a_rate_is_in_no_sum() -> None:
    dollars = make_rule("USD-001", leaf("currency", "eq", "USD"))
    found = result(amounts("100.00", currency="USD"), dollars)
    assert (found["held"]["payments"], found["held"]["amount"], found["held"]["unconverted"]) == (1, "0.00", 1)


def test_the_share_is_of_the_days_on_which_the_rule_was_in_effect() -> None:
    rule = make_rule(
        "AMT-002", leaf("amount", "gt", yuan("1.00")), effective_from=date(2025, 3, 6), effective_until=date(2025, 3, 7)
    )
    days = [pay("5.00", day, event_time=f"2025-03-0{day}T10:00:00+08:00") for day in (5, 6, 7)]
    found = rule_of(result(lines(*days), rule), "AMT-002")
    assert (found["hits"], found["payments"], found["share"]) == (1, 1, 1.0)


def test_hits_that_an_exception_withholds_are_no_hits() -> None:
    spared = Exception_(leaf("budget_unit", "eq", "101001"), "li", "号", date(2025, 12, 31))
    found = result(amounts("500000.00"), make_rule("AMT-001", LARGE.when, exceptions=(spared,)))
    rule = rule_of(found, "AMT-001")
    assert (rule["hits"], rule["excepted"], rule["held"]["payments"]) == (0, 1, 0)
    assert found["silent"] == ["AMT-001"]


def test_hits_for_want_of_data_are_told_apart() -> None:
    rule = make_rule("P-001", leaf("purpose", "eq", "会议"), on_missing="warn")
    found = rule_of(result(lines(pay("1.00", purpose=None), pay("1.00", 2, purpose="会议")), rule), "P-001")
    assert (found["hits"], found["missing"], found["held"]["payments"]) == (2, 1, 1)


def test_drafts_and_shadow_rules_are_counted_and_change_nothing() -> None:
    total = aggregate("sum", "amount", "budget_unit", window_us=DAY)
    warned = make_rule("SUM-001", leaf(ref(total), "gte", yuan("900.00")), action="warn")
    trial = [
        make_rule(name, leaf("amount", "gt", yuan("1.00")), mode=mode)
        for name, mode in (("TRY-001", "draft"), ("TRY-002", "shadow"), ("OLD-001", "retired"))
    ]
    file = amounts("500.00", "500.00")
    plain, tried = result(file, warned), result(file, warned, *trial)
    assert tried["verdicts"] == plain["verdicts"] == {"pass": 1, "warn": 1, "intercept": 0, "prohibit": 0}
    assert tried["held"]["payments"] == 0
    assert [(each["id"], each["mode"], each["hits"]) for each in tried["rules"]] == [
        ("SUM-001", "live", 1), ("TRY-001", "draft", 2), ("TRY-002", "shadow", 2),
    ]  # fmt: skip
    assert rule_of(tried, "TRY-001")["held"]["amount"] == "1000.00"


def test_what_a_rule_holds_alone_is_what_no_other_live_rule_holds() -> None:
    low = make_rule("LOW-001", leaf("amount", "gte", yuan("100.00")))
    high = make_rule("HIGH-001", leaf("amount", "gte", yuan("200.00")))
    trial = make_rule("TRY-001", leaf("amount", "gte", yuan("50.00")), mode="shadow")
    found = result(amounts("60.00", "100.00", "200.00"), low, high, trial)
    alone = {each["id"]: each["held_alone"]["amount"] for each in found["rules"]}
    assert alone == {"LOW-001": "100.00", "HIGH-001": "0.00", "TRY-001": "60.00"}


def test_examples_are_the_first_the_last_and_the_extremes_in_the_order_of_the_file() -> None:
    every = make_rule("ALL-001", leaf("amount", "gt", yuan("0.00")))
    found = rule_of(result(amounts("50.00", "9.00", "70.00", "9.00", "70.00", "20.00"), every), "ALL-001")
    assert [(each["line"], each["why"]) for each in found["examples"]] == [
        (1, ["first"]), (2, ["smallest"]), (3, ["largest"]), (6, ["last"]),
    ]  # fmt: skip


def test_examples_mask_accounts_and_numbers_like_them() -> None:
    paid = pay("500000.00", payee_account="42002000000000002222", purpose="转 6222021234567890123 张三")
    example = rule_of(result(lines(paid), LARGE), "AMT-001")["examples"][0]
    assert example["payee_account"] == "****************2222"
    assert example["purpose"] == "转 ***************0123 张三"


def test_a_file_without_a_payment_has_a_result_too() -> None:
    found = result([], LARGE)
    assert (found["payments"], found["file"]["first_day"], found["months"]) == (0, None, {})
    assert (found["silent"], found["not_in_effect"]) == ([], ["AMT-001"])
    assert rule_of(found, "AMT-001")["share"] is None


def test_every_key_of_the_result_is_described() -> None:
    text = (Path(__file__).parents[2] / "docs" / "backtesting.md").read_text("utf-8")
    file = amounts("500000.00")
    whole = result(file, LARGE, against=("old", make_ruleset()), labels=labels(planted(1, "AMT-001")))
    keys = {*whole, *whole["rules"][0], *whole["against"], *whole["labels"], *whole["held"], *whole["file"]}
    assert [each for each in sorted(keys) if f"{each}" not in text] == []


def test_one_hit_in_ten_million_is_a_share_above_nothing() -> None:
    assert ratio(1, 10_000_000) == 1e-07
    assert ratio(0, 10_000_000) == 0.0
    assert ratio(0, 0) is None


# --- findings ---


@pytest.mark.parametrize(("hits", "noisy"), [(1, False), (2, True)])
def test_a_rule_is_noisy_above_one_percent_where_its_file_says_nothing(hits: int, noisy: bool) -> None:
    found = result(amounts(*["500000.00"] * hits, *["1.00"] * (100 - hits)), LARGE)
    assert [each["rule"] for each in found["noisy"]] == ["AMT-001"] * noisy
    assert found["broken"] == []


@pytest.mark.parametrize(("hits", "broken"), [(5, []), (6, ["AMT-001"])])
def test_an_expectation_is_kept_at_the_share_itself_and_broken_by_one_hit_more(hits: int, broken: list[str]) -> None:
    rule = make_rule("AMT-001", LARGE.when, max_share=Decimal("0.05"))
    found = result(amounts(*["500000.00"] * hits, *["1.00"] * (100 - hits)), rule)
    assert found["broken"] == broken
    assert [(each["hits"], each["payments"], each["max_share"]) for each in found["noisy"]] == [(6, 100, 0.05)] * (
        hits > 5
    )


@pytest.mark.parametrize(("only_one", "told"), [(1, [0.8]), (2, [])])
def test_rules_overlap_that_hit_four_of_five_payments_both(only_one: int, told: list[float]) -> None:
    low = make_rule("LOW-001", leaf("amount", "gte", yuan("100.00")))
    high = make_rule("HIGH-001", leaf("amount", "gte", yuan("200.00")), mode="shadow")
    both = 4 * 2  # of 10
    found = result(amounts(*["200.00"] * both, *["100.00"] * (only_one * 2)), low, high)
    assert [each["jaccard"] for each in found["overlapping"]] == told


@pytest.mark.parametrize(("both", "told"), [(4, 0), (5, 1)])
def test_rules_overlap_from_five_payments_on(both: int, told: int) -> None:
    again = make_rule("AMT-002", LARGE.when)
    found = result(amounts(*["500000.00"] * both), LARGE, again)
    assert len(found["overlapping"]) == told


# --- two rule sets ---


def against(file: list[Line], old: RuleSet, new: RuleSet, **options: Any) -> dict[str, Any]:
    return dict(result(file, ruleset=new, against=("old", old), **options)["against"])


def test_a_lower_limit_holds_more_and_says_why() -> None:
    lower = make_rule("AMT-001", leaf("amount", "gte", yuan("100.00")), revision=2)
    found = against(amounts("100.00", "99.99", "500000.00", "300.00"), make_ruleset(LARGE), make_ruleset(lower))
    assert found["matrix"] == {"pass": {"pass": 1, "intercept": 2}, "intercept": {"intercept": 1}}
    held = found["newly_held"]
    assert (held["payments"], held["amount"], held["rules"]) == (2, "400.00", {"AMT-001": 2})
    assert [(each["line"], each["old"]["verdict"], each["new"]["verdict"]) for each in held["examples"]] == [
        (1, "pass", "intercept"), (4, "pass", "intercept"),
    ]  # fmt: skip
    assert held["examples"][0]["new"]["hits"][0]["reason"]["zh"] == "金额100.00元"
    assert found["newly_let_go"]["payments"] == 0
    (rule,) = found["rules"]
    assert (rule["gained"], rule["lost"], rule["old"]["revision"], rule["new"]["revision"]) == (2, 0, 1, 2)


def test_a_rule_that_is_gone_lets_go_and_the_old_reason_is_shown() -> None:
    other = make_rule("ZERO-001", leaf("amount", "eq", yuan("0.00")), action="warn")
    found = against(amounts("500000.00", "0.00"), make_ruleset(LARGE), make_ruleset(other))
    gone = found["newly_let_go"]
    assert (gone["payments"], gone["rules"]) == (1, {"AMT-001": 1})
    assert gone["examples"][0]["old"]["hits"][0]["reason"]["en"] == "CNY 500000.00"
    assert {each["rule"]: (each["gained"], each["lost"]) for each in found["rules"]} == {
        "ZERO-001": (1, 0), "AMT-001": (0, 1),
    }  # fmt: skip


def test_a_promotion_holds_more_with_the_same_hits() -> None:
    shadow = make_rule("AMT-001", LARGE.when, mode="shadow")
    found = against(amounts("500000.00"), make_ruleset(shadow), make_ruleset(LARGE))
    assert found["newly_held"]["payments"] == 1
    (rule,) = found["rules"]
    assert (rule["gained"], rule["lost"]) == (0, 0)
    assert (rule["old"]["mode"], rule["new"]["mode"], rule["effect"]) == ("shadow", "live", True)


def test_rules_that_differ_are_told_apart_by_whether_it_made_a_difference() -> None:
    other = [make_rule("AMT-001", leaf("amount", "gte", yuan("400000.00"))), make_rule("NEW-001", LARGE.when)]
    found = against(amounts("500000.00"), make_ruleset(LARGE), make_ruleset(*other))
    assert {each["rule"]: each["effect"] for each in found["rules"]} == {"AMT-001": False, "NEW-001": True}


def test_the_same_rules_differ_in_nothing() -> None:
    found = against(amounts("500000.00", "1.00"), make_ruleset(LARGE), make_ruleset(LARGE))
    assert found["rules"] == []
    assert (found["newly_held"]["payments"], found["newly_let_go"]["payments"]) == (0, 0)


def test_lines_without_a_verdict_stand_in_the_matrix_by_what_became_of_them() -> None:
    """Partition keys differ, so an id is known to one set and not to the other."""
    file = lines(pay("1.00"), pay("1.00", jurisdiction="420200"), pay("1.00", jurisdiction="420200"))
    found = against(file, make_ruleset(LARGE, partition_by="budget_unit"), make_ruleset(LARGE))
    assert found["matrix"] == {"pass": {"pass": 1}, "refused": {"pass": 1, "duplicate": 1}}


# --- labels ---


def labels(*each: dict[str, Any]) -> Labels:
    return read_labels([Line(at, json.dumps(one).encode()) for at, one in enumerate(each, 1)], "labels.jsonl")


def planted(number: int, *rules: str, kind: str = "large", **rest: Any) -> dict[str, Any]:
    return {"instruction_id": f"PI-{number}", "kind": kind, "rule_ids": rules, **rest}


def test_precision_and_recall_against_what_was_planted() -> None:
    known = labels(planted(1, "AMT-001"), planted(2, "AMT-001"), planted(3, "X-001", kind="other"))
    found = result(amounts("500000.00", "1.00", "500000.00", "500000.00"), LARGE, labels=known)["labels"]
    score = found["rules"]["AMT-001"]
    assert (score["true"], score["false"], score["elsewhere"], score["unlabelled"]) == (1, 0, 1, 1)
    assert (score["precision"], score["recall"]) == (0.5, 0.5)
    assert found["kinds"]["large"]["recall"] == 0.5
    assert found["kinds"]["other"] | {"payments": 1} == {
        "payments": 1, "expected": 1, "found": 0, "found_otherwise": 1, "recall": 0.0, "near_misses": 0,
        "hit_wrongly": 0, "rules": ["X-001"], "not_in_set": ["X-001"],
    }  # fmt: skip
    assert found["planted"]["recall"] == 0.333333


def test_a_near_miss_that_a_rule_of_its_kind_hits_counts_against_it() -> None:
    known = labels(planted(1, "AMT-001"), planted(2, near_miss=True), planted(3, near_miss=True))
    found = result(amounts("500000.00", "499999.99", "500000.00"), LARGE, labels=known)["labels"]
    assert (found["planted"]["near_misses"], found["planted"]["hit_wrongly"]) == (2, 1)
    assert (found["rules"]["AMT-001"]["false"], found["rules"]["AMT-001"]["precision"]) == (1, 0.5)


def test_answers_of_people_give_precision_and_no_recall() -> None:
    known = labels(
        {"instruction_id": "PI-1", "label": "true_alarm", "decided_by": "li"},
        {"instruction_id": "PI-2", "label": "false_alarm"},
        {"instruction_id": "PI-3", "label": "true_alarm"},
        {"instruction_id": "PI-4", "label": None},
        {"instruction_id": "PI-9", "label": "true_alarm"},
    )
    found = result(amounts("500000.00", "500000.00", "1.00", "500000.00"), LARGE, labels=known)["labels"]
    score = found["rules"]["AMT-001"]
    assert (score["true"], score["false"], score["unlabelled"]) == (1, 1, 1)
    assert (score["precision"], score["recall"]) == (0.5, None)
    assert found["answered"] == {"true_alarm": {"payments": 2, "found": 1}, "false_alarm": {"payments": 1, "found": 1}}
    assert (found["not_in_file"], found["without_answer"]) == (1, 1)


def test_a_label_may_name_the_jurisdiction_and_the_later_of_two_counts() -> None:
    here = {"instruction_id": "PI-1", "jurisdiction": "420100"}
    known = labels(here | {"label": "false_alarm"}, here | {"label": "true_alarm"})
    file = lines(pay("500000.00"), pay("500000.00", jurisdiction="420200"))
    score = result(file, LARGE, labels=known)["labels"]["rules"]["AMT-001"]
    assert (score["true"], score["false"], score["unlabelled"]) == (1, 0, 1)


@pytest.mark.parametrize(
    "line", [b"no json", b'{"label":"true_alarm"}', b'{"instruction_id":"a","label":"maybe"}', b"\xff", b"[]"]
)
def test_a_line_that_is_no_label_is_named(line: bytes) -> None:
    with pytest.raises(BadLabels, match=r"labels\.jsonl: line 2 is no label: "):
        read_labels([Line(1, b'{"instruction_id":"a","label":null}'), Line(2, line)], "labels.jsonl")


# --- the same for the same ---


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_split_into_batches_changes_no_byte(batch: int) -> None:
    total = aggregate("sum", "amount", "budget_unit", window_us=DAY)
    new = make_ruleset(LARGE, make_rule("SUM-001", All((leaf(ref(total), "gte", yuan("900000.00")),)), action="warn"))
    file = lines(
        *(
            pay(f"{number * 37_411 % 700_000}.00", number % 50, event_time=f"2025-03-05T{number % 24:02}:15:00+08:00")
            if number % 9
            else b"{"
            for number in range(80)
        )
    )
    run: Callable[..., BackTest] = back_test
    whole, parts = (run(file, new, ("old", make_ruleset(LARGE)), batch=each) for each in (80, batch))
    assert json.dumps(as_json(parts, SOURCE)) == json.dumps(as_json(whole, SOURCE))


def test_the_source_is_named_without_folders_and_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"abc")
    assert source_of(path) == Source("a.jsonl", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
