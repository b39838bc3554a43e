"""Limits: at each of them a rule set is read, one beyond it is explained where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pytest

from tests.builders import make_instruction
from tests.rules.texts import HEAD, REASON, RULE, errors_of, read_rule, read_set, rule_file
from treasury_watch.domain.verdict import Decision
from treasury_watch.engine.assess import Engine
from treasury_watch.engine.program import Program
from treasury_watch.rules import Diagnostic, check, read, sets
from treasury_watch.rules.limits import (
    BY,
    CHOICES,
    COLUMNS,
    CONDITIONS,
    DATED,
    ENTRIES,
    EXCEPTIONS,
    FEATURE_DEPTH,
    FEATURES,
    FILE_VALUES,
    LIMITS,
    PARAMS,
    ROWS,
    SET_FILES,
    STEPS,
    TESTS,
    TEXT,
    Limit,
)

WHEN = "  when: {field: amount, gt: 1.00}\n"
DOCUMENT = Path(__file__).parents[2] / "docs" / "limits.md"
TABLE = b"table: t\nowner: a\nbasis: b\nkey: [k]\ncolumns: {k: text, v: text}\n"
STEP = "{at: 0h, pay: {amount: 1.00}, expect: pass}"


def found_in(files: dict[str, bytes]) -> list[Diagnostic]:
    return read({"office.yaml": rule_file(WHEN), **files})[1]


def joined(parts: Iterable[str]) -> str:
    return ", ".join(parts)


def leaves(count: int) -> str:
    return f"  when: {{any: [{joined(f'{{field: amount, eq: {each}.00}}' for each in range(count))}]}}\n"


def choices(count: int) -> str:
    return f"  when: {{field: purpose, in: [{joined(f'x{each}' for each in range(count))}]}}\n"


def words(count: int) -> str:
    return f"  when: {{field: purpose, contains_any: [{joined(f'x{each}' for each in range(count))}]}}\n"


def params(count: int) -> str:
    return f"  params: {{{joined(f'p{each}: 1.00' for each in range(count))}}}\n{WHEN}"


def features(count: int) -> str:
    listed = joined(f"f{each}: {{count: amount, by: [], window: {each + 1}s}}" for each in range(count))
    return f"  features: {{{listed}}}\n{WHEN}"


def levels(count: int) -> str:
    """Features one on the other, the first of them on an aggregate."""
    chain = "".join(f"    f{each}: {{add: [$f{each - 1}, 1.00]}}\n" for each in range(1, count))
    first = "    f0: {sum: amount, by: [], window: 1h}\n"
    return f"  features:\n{first}{chain}  when: {{feature: f{count - 1}, gt: 1.00}}\n"


def dated(count: int) -> str:
    days = joined(f"{{from: {2000 + each // 12}-{each % 12 + 1:02}-01, value: 1.00}}" for each in range(count))
    return f"  effective: {{from: 2000-01-01}}\n  params: {{p: [{days}]}}\n{WHEN}"


def keys(count: int) -> str:
    by = joined(f"attributes.k{each}" for each in range(count))
    return f"  features: {{f: {{count: amount, by: [{by}], window: 1h}}}}\n{WHEN}"


def exceptions(count: int) -> str:
    one = "{match: {field: amount, eq: 1.00}, owner: a, basis: b, expires: 2025-01-01}"
    return f"{WHEN}  exceptions: [{joined([one] * count)}]\n"


@pytest.mark.parametrize(
    ("body", "limit", "code"),
    [
        (leaves, CONDITIONS, "TW113"),
        (choices, CHOICES, "TW113"),
        (words, CHOICES, "TW113"),
        (params, PARAMS, "TW113"),
        (features, FEATURES, "TW113"),
        (levels, FEATURE_DEPTH, "TW112"),
        (dated, DATED, "TW113"),
        (keys, BY, "TW113"),
        (exceptions, EXCEPTIONS, "TW113"),
    ],
)
def test_a_rule_at_a_limit_is_read_and_one_beyond_it_explained(body, limit: Limit, code: str) -> None:  # type: ignore[no-untyped-def]
    read_rule(body(limit.most))
    assert [found for found, _ in errors_of(body(limit.most + 1))] == [code]


def test_what_names_a_feature_beyond_the_limit_is_not_told_as_well() -> None:
    body = features(FEATURES.most + 1).replace("{field: amount, gt: 1.00}", f"{{feature: f{FEATURES.most}, gt: 1}}")
    assert [code for code, _ in errors_of(body)] == ["TW113"]


@pytest.mark.parametrize(("limit", "tail"), [(TESTS, 1), (STEPS, 0)])
def test_tests_and_their_steps(limit: Limit, tail: int) -> None:
    def codes(count: int) -> list[str]:
        tests, steps = (count, 1) if tail else (1, count)
        one = f"- {{name: x, start: 2025-03-03T09:00:00+08:00, steps: [{joined([STEP] * steps)}]}}\n"
        return [each.code for each in read({"office.yaml": rule_file(WHEN, tail="tests:\n" + one * tests)})[1]]

    assert codes(limit.most) == []
    assert codes(limit.most + 1) == ["TW113"]


def test_entries_of_a_list() -> None:
    def found(count: int) -> list[Diagnostic]:
        entries = "".join(f"- word{each}\n" for each in range(count))
        return found_in({"lists/l.yaml": f"list: l\nowner: a\nbasis: b\nentries:\n{entries}".encode()})

    assert found(ENTRIES.most) == []
    (one,) = found(ENTRIES.most + 1)
    assert (one.code, one.span.line) == ("TW113", ENTRIES.most + 5)


def test_rows_of_a_table_and_the_length_of_a_cell() -> None:
    def found(rows: str) -> list[tuple[str, int]]:
        csv = f"k,v\n{rows}".encode()
        return [(each.code, each.span.line) for each in found_in({"tables/t.yaml": TABLE, "tables/t.csv": csv})]

    assert found("".join(f"{each},x\n" for each in range(ROWS.most))) == []
    assert found("x,x\n" * (ROWS.most + 1)) == [("TW113", ROWS.most + 2)]
    assert found(f"a,{'x' * TEXT.most}\n") == []
    assert found(f"a,{'x' * (TEXT.most + 1)}\n") == [("TW108", 2)]


def test_columns_of_a_table() -> None:
    def codes(count: int) -> list[str]:
        names = [f"c{each}" for each in range(count)]
        columns = joined(f"{name}: text" for name in names)
        declared = f"table: t\nowner: a\nbasis: b\nkey: [c0]\ncolumns: {{{columns}}}\n"
        return [
            each.code
            for each in found_in({"tables/t.yaml": declared.encode(), "tables/t.csv": ",".join(names).encode()})
        ]

    assert codes(COLUMNS.most) == []
    assert codes(COLUMNS.most + 1) == ["TW113"]


def test_keys_and_values_of_a_file() -> None:
    def codes(count: int) -> list[str]:
        return [each.code for each in found_in({"lists/l.yaml": ("[" + "1," * (count - 1) + "]").encode()})]

    assert codes(FILE_VALUES.most) == ["TW009"]  # read, and no file of a rule set
    assert codes(FILE_VALUES.most + 1) == ["TW113"]


def test_files_of_a_set() -> None:
    def codes(count: int) -> list[str]:
        lists = {
            f"lists/l{each}.yaml": f"list: l{each}\nowner: a\nbasis: b\nentries: []\n" for each in range(count - 1)
        }
        return [each.code for each in found_in({path: text.encode() for path, text in lists.items()})]

    assert codes(SET_FILES.most) == []
    assert codes(SET_FILES.most + 1) == ["TW113"]


@pytest.mark.parametrize(
    ("name", "most"), [("SET_RULES", 2), ("SET_CONDITIONS", 2), ("SET_BYTES", 700), ("SET_VALUES", 20)]
)
def test_all_files_of_a_set_together(name: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits themselves, being large, are put down for this test."""
    files = {f"f{each}.yaml": (HEAD + RULE.replace("001", f"00{each}") + WHEN + REASON).encode() for each in range(3)}
    assert read(files)[1] == []
    limit: Limit = getattr(sets, name)
    monkeypatch.setattr(sets, name, Limit(most, limit.what, limit.code, limit.why, limit.instead))
    found = read(files)[1]
    assert [each.code for each in found] == ["TW113"]
    assert found[0].span.file == ("f1.yaml" if name == "SET_VALUES" else "f2.yaml")


def test_a_rule_at_all_limits_of_its_size_compiles_and_judges() -> None:
    """Python's own limit is 200 nested brackets."""
    chain = levels(FEATURE_DEPTH.most).partition("  when:")[0]
    steps = (
        2 * FEATURE_DEPTH.most
    )  # of a condition on the last: itself, one sum, two for each further level, rounded up
    most = CONDITIONS.most // steps - 1
    many = joined(f"{{feature: f{FEATURE_DEPTH.most - 1}, lt: -{each}.00}}" for each in range(1, most))
    deep = "{not: {all: [" * 8 + f"{{feature: f{FEATURE_DEPTH.most - 1}, gt: 1.00}}" + "]}}" * 8
    ruleset = read_set(f"{chain}  when: {{any: [{many}, {deep}]}}\n")
    (decision,) = Engine(Program(ruleset)).assess([make_instruction()])
    assert isinstance(decision, Decision)
    assert decision.verdict == "warn"


def test_a_condition_counts_with_the_steps_of_its_features() -> None:
    """Two levels: each condition on the second counts three times."""

    def body(count: int) -> str:
        many = joined(f"{{feature: f1, gt: {each}.00}}" for each in range(count))
        return levels(2).partition("  when:")[0] + f"  when: {{any: [{many}]}}\n"

    read_rule(body(CONDITIONS.most // 3))
    assert [code for code, _ in errors_of(body(CONDITIONS.most // 3 + 1))] == ["TW113"]


def test_features_on_features_are_explained_in_time_that_grows_with_their_number() -> None:
    """Each level once asked the one below it twice: 2 to the 16th times at the limit."""
    asked = 0

    class Counting(Program):
        def series_of(self, feature):  # type: ignore[no-untyped-def]
            nonlocal asked
            asked += 1
            return super().series_of(feature)

    ruleset = read_set(levels(FEATURE_DEPTH.most))
    Engine(Counting(ruleset)).assess([make_instruction()])
    assert 0 < asked < 1000


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_rules_may_start_and_end_on_the_first_and_the_last_day_and_be_checked_on_it(day: str) -> None:
    calendar = b"calendar: cn\nowner: a\nyears: [{year: 2025, basis: b, holidays: [], working_days: []}]\n"
    when = '  when: {working_time: {calendar: cn, hours: "08:30-18:00"}}\n'
    for edge in ("from", "until"):
        files = {"office.yaml": rule_file(f"  effective: {{{edge}: {day}}}\n{when}"), "calendars/cn.yaml": calendar}
        ruleset, found = read(files)
        if (edge, day) == ("until", "0001-01-01"):
            assert [each.code for each in found] == ["TW404"]
            continue
        assert ruleset is not None
        assert len(check(ruleset, files, date.fromisoformat(day))) < 10_000
        assert isinstance(Engine(Program(ruleset)).assess([make_instruction()])[0], Decision)


def test_the_page_lists_every_limit() -> None:
    text = DOCUMENT.read_text("utf-8")
    for each in LIMITS:
        assert f"| {each.what} | {each.most:,} | {each.code} | {each.why} |" in text
