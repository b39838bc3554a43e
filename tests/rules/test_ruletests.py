"""Inline tests as they are read."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from tests.rules.texts import SECOND_US, errors_of, read_set
from treasury_watch.rules.schema import Disposal, Expectation, RuleTest, Step

WHEN = "  when: {field: amount, gt: 1.00}\n"
TEST = """\
tests:
- name: a test
  start: 2025-03-03T09:00:00+08:00
  steps:
  - """


def step(text: str) -> Step:
    (test,) = read_set(WHEN, tail=TEST + text + "\n").files[0].tests
    return test.payments[0]


def steps(*texts: str) -> str:
    """A test of these steps."""
    return TEST + "\n  - ".join(texts) + "\n"


def pay(text: str) -> Any:
    return step(f"{{at: 0h, pay: {{{text}}}, expect: pass}}").pay


def expect(text: str) -> Expectation:
    return step(f"{{at: 0h, pay: {{}}, expect: {text}}}").expect


def test_a_test_has_a_name_a_start_and_steps() -> None:
    (test,) = read_set(WHEN, tail=TEST + "{at: 1h30m, pay: {amount: 5}, expect: {warn: [RULE-001]}}\n").files[0].tests
    one = Step(5400 * SECOND_US, {"amount": "5.00"}, Expectation("warn", ("RULE-001",)))
    assert test == RuleTest("a test", "2025-03-03T09:00:00+08:00", (one,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amount: 100.00", {"amount": "100.00"}),
        ("amount: -5", {"amount": "-5.00"}),
        ("payee_name: null, purpose: ", {"payee_name": None, "purpose": None}),
        ("line_no: 3, green_channel: true", {"line_no": 3, "green_channel": True}),
        ("voucher_date: 2025-01-02", {"voucher_date": date(2025, 1, 2)}),
        ("unit_level: county", {"unit_level": "county"}),
        ("payee_account: P1", {"payee_account": "P1"}),
        ("attributes.town: 柳林", {"attributes.town": "柳林"}),
        ("attributes: {town: 柳林, score: 3, new: true, old: null}",
         {"attributes.town": "柳林", "attributes.score": 3, "attributes.new": True, "attributes.old": None}),
    ],
)  # fmt: skip
def test_fields_have_the_values_that_messages_carry(text: str, expected: dict[str, Any]) -> None:
    assert pay(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pass", Expectation("pass")),
        ("{pass: []}", Expectation("pass", ())),
        ("{record: [RULE-001]}", Expectation("record", ("RULE-001",))),
        ("{warn: [RULE-001], reason_zh: 甲}", Expectation("warn", ("RULE-001",), "甲")),
        ("{intercept: [], reason_en: A}", Expectation("intercept", (), None, "A")),
    ],
)
def test_expectations(text: str, expected: Expectation) -> None:
    assert expect(text) == expected


@pytest.mark.parametrize(
    ("text", "code", "pointed"),
    [
        ("{at: 0h, pay: {}, expect: block}", "TW103", "block"),
        ("{at: 0h, pay: {}, expect: [pass]}", "TW104", "["),
        ("{at: 0h, pay: {}, expect: {}}", "TW102", "{"),
        ("{at: 0h, pay: {}, expect: {pass: [], warn: []}}", "TW109", "{"),
        ("{at: 0h, pay: {}, expect: {warn: [RULE-002]}}", "TW210", "RULE-002"),
        ("{at: 0h, pay: {}, expect: {warn: RULE-001}}", "TW104", "RULE-001"),
        ("{at: 0h, pay: {amuont: 1}, expect: pass}", "TW201", "amuont"),
        ("{at: 0h, pay: {amount: 1.005}, expect: pass}", "TW105", "1.005"),
        ("{at: 0h, pay: {event_time: 2025-01-01}, expect: pass}", "TW101", "event_time"),
        ("{at: 0h, pay: {unit_level: 县级}, expect: pass}", "TW103", "县级"),
        ("{at: 0h, pay: {budget_unit: 101001}, expect: pass}", "TW007", "101001"),
        ("{at: 0h, pay: {attributes: [a]}, expect: pass}", "TW104", "["),
        ('{at: 0h, pay: {attributes: {"": 1}}, expect: pass}', "TW201", '""'),
        ("{at: 0h, pay: [a], expect: pass}", "TW104", "["),
        ("{at: 0, pay: {}, expect: pass}", "TW107", "0"),
        ("{pay: {}, expect: pass}", "TW102", "{"),
        ("{at: 0h, pay: {}, expect: pass, of: 1}", "TW109", "of"),
        ("{at: 0h, pay: {}, expect: pass, anomaly: {p_value: 0}}", "TW108", "0"),
        ("{at: 0h, pay: {}, expect: pass, anomaly: {p_value: 1.0001}}", "TW108", "1.0001"),
        ("{at: 0h, pay: {}, expect: pass, anomaly: {p_value: 1%}}", "TW105", "1%"),
        ("{at: 0h, pay: {}, expect: pass, anomaly: {}}", "TW102", "{"),
        ("{at: 0h, pay: {}, expect: pass, anomaly: 0.5}", "TW104", "0.5"),
        ("[a]", "TW104", "["),
    ],
)
def test_what_is_wrong_with_a_step_is_pointed_at(text: str, code: str, pointed: str) -> None:
    assert errors_of(WHEN, tail=TEST + text + "\n") == [(code, pointed)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        (", anomaly: {p_value: 0.0050}", Fraction(1, 200)),
        (", anomaly: {p_value: 1}", Fraction(1)),
        (", anomaly: {p_value: 0.0000000001}", Fraction(1, 10**10)),
    ],
)
def test_a_step_may_say_its_p_value(text: str, expected: Fraction | None) -> None:
    assert step(f"{{at: 0h, pay: {{}}, expect: pass{text}}}").p_value == expected


PAID = "{at: 1h, pay: {}, expect: pass}"


def test_a_step_may_dispose_of_an_earlier_one_at_its_time_or_later() -> None:
    tail = steps(PAID, "{at: 1h, dispose: release, of: 1}", PAID, "{at: 2h, dispose: return, of: 3}")
    (test,) = read_set(WHEN, tail=tail).files[0].tests
    hour = 3600 * SECOND_US
    paid = Step(hour, {}, Expectation("pass"))
    assert test.steps == (paid, Disposal(hour, "release", 1), paid, Disposal(2 * hour, "return", 3))
    assert test.payments == (paid, paid)


@pytest.mark.parametrize(
    ("text", "code", "pointed"),
    [
        ("{at: 1h, dispose: approve, of: 1}", "TW103", "approve"),
        ("{at: 1h, dispose: null, of: 1}", "TW104", "null"),
        ("{at: 1h, dispose: release}", "TW102", "{"),
        ("{at: 1h, of: 1}", "TW102", "{"),
        ("{dispose: release, of: 1}", "TW102", "{"),
        ("{at: 59m, dispose: release, of: 1}", "TW108", "59m"),
        ("{at: 1h, dispose: release, of: 0}", "TW108", "0"),
        ("{at: 1h, dispose: release, of: one}", "TW105", "one"),
        ("{at: 1h, dispose: release, of: 2}", "TW108", "2"),
        ("{at: 1h, dispose: release, of: 3}", "TW108", "3"),
        ("{at: 1h, dispose: release, of: 4}", "TW108", "4"),
        ("{at: 1h, dispose: release, of: 1, pay: {}, expect: pass}", "TW109", "pay"),
        ("{at: 1h, dispose: release, of: 1, expect: pass}", "TW109", "expect"),
        ("{at: 1h, dispose: release, of: 1, anomaly: {p_value: 1}}", "TW109", "anomaly"),
    ],
)
def test_what_is_wrong_with_a_step_that_disposes_is_pointed_at(text: str, code: str, pointed: str) -> None:
    assert errors_of(WHEN, tail=steps(PAID, text, PAID)) == [(code, pointed)]


def test_what_was_disposed_of_cannot_be_disposed_of_as_a_payment() -> None:
    disposed = "{at: 1h, dispose: release, of: 1}"
    assert errors_of(WHEN, tail=steps(PAID, disposed, disposed.replace("1}", "2}"))) == [("TW108", "2")]
    assert errors_of(WHEN, tail=steps(disposed, PAID)) == [("TW108", "1")]


def test_a_misspelt_disposition_is_not_taken_for_a_payment() -> None:
    assert errors_of(WHEN, tail=steps(PAID, "{at: 1h, dispos: release, of: 1}")) == [
        ("TW102", "{"),
        ("TW101", "dispos"),
    ]


def test_of_a_payment_that_could_not_be_read_nothing_more_is_said() -> None:
    broken = "{at: 1h, pay: {amuont: 1}, expect: pass}"
    assert errors_of(WHEN, tail=steps(broken, "{at: 0h, dispose: release, of: 1}")) == [("TW201", "amuont")]


def test_ids_are_not_looked_for_among_rules_that_could_not_be_read() -> None:
    body = "  when: {field: amuont, gt: 1}\n"
    assert errors_of(body, tail=TEST + "{at: 0h, pay: {}, expect: {warn: [RULE-001]}}\n") == [("TW201", "amuont")]


def test_the_base_is_an_instruction_too() -> None:
    ruleset = read_set(WHEN, tail="test_base: {amount: 100, unit_level: city}\n")
    assert ruleset.files[0].test_base == {"amount": "100.00", "unit_level": "city"}
    assert errors_of(WHEN, tail="test_base: {amuont: 100}\n") == [("TW201", "amuont")]
    assert errors_of(WHEN, tail="test_base: 100\n") == [("TW104", "100")]
