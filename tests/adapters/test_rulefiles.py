"""Rule sets on disk, and the default pack."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tests.rules.texts import CARDS, rule_file
from treasury_watch.adapters.rulefiles import NoRuleFiles, check, default_rules, files_of, fix, load
from treasury_watch.adapters.simulation.city import DEBARRED, official_cards
from treasury_watch.engine.ruletest import run_tests
from treasury_watch.rules import RuleErrors
from treasury_watch.rules.limits import SET_FILES

WHEN = "  mode: shadow\n  when: {field: amount, gt: 1.00}\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of one rule and one table."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "office.yaml").write_bytes(rule_file(WHEN))
    for name, data in CARDS.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_a_directory_is_loaded_with_its_tables(directory: Path) -> None:
    ruleset = load(directory)
    assert [rule.id for rule in ruleset.rules] == ["RULE-001"]
    assert list(ruleset.tables) == ["official_cards"]
    assert ruleset.files[0].path == (directory / "office.yaml").as_posix()


def test_what_is_wrong_is_shown_with_the_path_as_it_was_given(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "office.yaml").write_bytes(rule_file(WHEN).replace(b"amount, gt", b"amuont, gt"))
    monkeypatch.chdir(directory.parent)
    with pytest.raises(RuleErrors) as caught:
        load(Path(directory.name))
    assert str(caught.value).startswith(f"{directory.name}/office.yaml:11:17: error TW201: ")


def test_a_directory_without_rule_files_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine" / "notes").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for name, said in (("mine", "mine"), (".", r"\.")):
        with pytest.raises(NoRuleFiles, match=f"^{said} has no rule file: one is a .yaml file"):
            load(Path(name))


def test_other_directories_below_it_are_other_rule_sets(directory: Path) -> None:
    (directory / "first-run").mkdir()
    (directory / "first-run" / "office.yaml").write_bytes(b"not: [a rule")
    assert len(load(directory).rules) == 1
    assert not any("first-run" in path for path in files_of(directory))


@pytest.mark.parametrize("name", ["office.yml", "lists/words.yml"])
def test_a_file_that_would_be_passed_over_by_its_suffix_is_told(directory: Path, name: str) -> None:
    (directory / "lists").mkdir()
    (directory / name).write_bytes(b"list: words\n")
    assert [each.code for each in check(directory, date(2025, 6, 1))] == ["TW009"]


def a_directory(path: Path) -> None:
    path.mkdir()


def a_link_in_circles(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [a_directory, a_link_in_circles, os.mkfifo])
def test_what_has_the_name_of_a_rule_file_and_is_none_is_told_in_one_line(
    directory: Path, make: Callable[[Path], None]
) -> None:
    make(directory / "more.yaml")
    with pytest.raises(OSError, match=r"more\.yaml is not a file that can be read$"):
        files_of(directory)


def test_hidden_files_are_those_of_editors(directory: Path) -> None:
    (directory / ".#office.yaml").symlink_to("someone@a-machine.1234")
    (directory / ".more.yaml").write_bytes(b"[")
    assert not any("/." in path for path in files_of(directory))


def test_a_directory_of_too_many_files_is_told_before_they_are_read(directory: Path) -> None:
    (directory / "lists").mkdir()
    for number in range(SET_FILES.most):
        (directory / "lists" / f"l{number}.yaml").touch()
    with pytest.raises(OSError, match=r"has 1,003 rule files: a rule set has at most 1,000$"):
        files_of(directory)


def test_of_a_file_that_is_too_large_no_more_is_read_than_shows_that(directory: Path) -> None:
    with (directory / "office.yaml").open("ab") as file:
        file.truncate(1 << 40)
    assert [each.code for each in check(directory, date(2025, 6, 1))] == ["TW002"]


def test_a_directory_that_is_none_is_no_rule_set(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="nowhere is not a directory"):
        load(tmp_path / "nowhere")


def test_check_tells_errors_or_findings(directory: Path) -> None:
    assert [each.code for each in check(directory, date(2025, 6, 1))] == ["TW605"]
    (directory / "office.yaml").write_bytes(b"ruleset: office\n")
    assert {each.code for each in check(directory, date(2025, 6, 1))} == {"TW102"}


def test_fixing_quotes_raises_the_revision_and_writes_the_lock(directory: Path) -> None:
    assert [each.message for each in fix(directory)] == ["wrote rules.lock"]
    assert check(directory, date(2025, 6, 1)) == []
    changed = rule_file(WHEN.replace("1.00", "2.00").replace("amount, gt", "amount, gte")).replace(b"\n", b"\r\n")
    (directory / "office.yaml").write_bytes(b"\xef\xbb\xbf" + changed)
    assert [each.message for each in fix(directory)] == [
        "revision 1 → 2 of `RULE-001`, whose logic changed",
        "wrote rules.lock",
    ]
    assert (directory / "office.yaml").read_bytes() == b"\xef\xbb\xbf" + changed.replace(b"revision: 1", b"revision: 2")
    assert check(directory, date(2025, 6, 1)) == []
    assert fix(directory) == []


def test_a_file_that_is_fixed_keeps_its_permissions_and_its_link(directory: Path) -> None:
    target = directory.parent / "linked.yaml"
    target.write_bytes(rule_file(WHEN.replace("amount, gt: 1.00", "budget_unit, eq: 101001")))
    target.chmod(0o640)
    (directory / "office.yaml").unlink()
    (directory / "office.yaml").symlink_to(target)
    assert [each.message for each in fix(directory)] == ['quoted "101001"', "wrote rules.lock"]
    assert (directory / "office.yaml").is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(each.name for each in directory.iterdir()) == ["office.yaml", "rules.lock", "tables"]


# --- the default pack ---


def test_the_default_pack_is_in_good_keeping() -> None:
    """After a change that is meant: `treasury-watch rules check --fix rules`."""
    assert [str(each) for each in check(default_rules(), date(2025, 6, 1))] == []


def test_the_inline_tests_of_the_default_pack_pass() -> None:
    assert [str(each) for each in run_tests(load(default_rules()))] == []


def test_every_rule_of_the_default_pack_is_judged_and_has_a_basis_a_risk_point_and_a_date() -> None:
    for rule in load(default_rules()).rules:
        assert rule.mode in ("live", "shadow")
        assert rule.basis is not None
        assert rule.risk_point is not None
        assert rule.effective_from == date(2025, 1, 1)


def test_the_default_pack_knows_the_cards_and_debarred_payees_of_the_simulated_city() -> None:
    ruleset = load(default_rules())
    cards = ruleset.tables["official_cards"].rows
    assert {card.number: card.limit for card in official_cards()} == {
        number: row["credit_limit"] for (number,), ((_, row),) in cards.items()
    }
    assert set(ruleset.lists["debarred_accounts"].entries) == {party.account for party in DEBARRED}
    assert set(ruleset.lists["debarred_names"].entries) == {party.name for party in DEBARRED}


def test_rules_on_chinese_text_stand_in_a_file_of_their_own() -> None:
    files = {Path(file.path).name: file for file in load(default_rules()).files}
    assert {rule.id[:4] for rule in files.pop("chinese-text.yaml").rules} == {"TEXT"}
    assert not any(rule.id.startswith("TEXT") for file in files.values() for rule in file.rules)
