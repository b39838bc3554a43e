"""Rule sets as messages: whole, within limits, and nothing but a rule set."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.test_cli import RULES
from treasury_watch.adapters import bundles
from treasury_watch.adapters.bundles import Bundle, BundleError, bundle_of, ruleset_of, statement, texts
from treasury_watch.adapters.packing import digest
from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.adapters.tables import TableError, read_text
from treasury_watch.rules import RuleErrors

CARDS = """\
table: cards
owner: someone@example.org
basis: a circular
key: [card_no]
columns: {card_no: account, unit: text}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A rule directory with a table, and with files beside it that are none of its own."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "amount.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "tables" / "cards.yaml").write_text(CARDS, encoding="utf-8")
    (tmp_path / "tables" / "cards.csv").write_text("card_no,unit\n6222 0001,教育局\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("words", encoding="utf-8")
    (tmp_path / ".amount.yaml.swp").write_text("words", encoding="utf-8")
    return tmp_path


def packed(contents: dict[str, str], **overrides: Any) -> Bundle:
    """A bundle of these files, which says of them what is true."""
    text = json.dumps(contents, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    fields = {
        "ruleset": "sha256:" + "0" * 64,
        "reference": "sha256:" + "0" * 64,
        "content": digest(text),
        "files": zlib.compress(text),
    } | overrides
    return Bundle(**fields)


def test_the_default_pack_comes_back_from_its_message_as_the_rule_set_of_its_directory() -> None:
    bundle, ruleset = bundle_of(default_rules())
    value = bundles.encode(bundle)
    assert len(value) < 150_000
    again = ruleset_of(bundles.decode(value))
    assert (again.hash, again.reference) == (ruleset.hash, ruleset.reference) == (bundle.ruleset, bundle.reference)
    assert again.hash == load(default_rules()).hash
    assert again.rules == ruleset.rules
    assert (again.lists, again.tables, again.calendars) == (ruleset.lists, ruleset.tables, ruleset.calendars)
    assert [len(each.tests) for each in again.files] == [len(each.tests) for each in ruleset.files]


def test_a_bundle_has_the_files_of_the_rule_set_under_paths_that_do_not_say_where_it_lay(directory: Path) -> None:
    found = texts(bundle_of(directory)[0])
    assert sorted(found) == ["amount.yaml", "tables/cards.csv", "tables/cards.yaml"]
    assert found["amount.yaml"] == RULES


def test_the_statement_changes_with_a_comment_and_the_hash_does_not(directory: Path) -> None:
    before, _ = bundle_of(directory)
    (directory / "amount.yaml").write_text(RULES + "# a remark\n", encoding="utf-8")
    after, _ = bundle_of(directory)
    assert before.ruleset == after.ruleset
    assert statement(before) != statement(after)


def test_a_directory_with_wrong_rules_makes_no_bundle(directory: Path) -> None:
    (directory / "amount.yaml").write_text(RULES.replace("gte", "gt_or_eq"), encoding="utf-8")
    with pytest.raises(RuleErrors):
        bundle_of(directory)


def test_a_rule_set_that_fits_in_no_record_is_refused_before_it_is_sent(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(bundles.encode(bundle_of(directory)[0]))
    monkeypatch.setattr(bundles, "MAX_BYTES", size)
    bundle_of(directory)
    monkeypatch.setattr(bundles, "MAX_BYTES", size - 1)
    with pytest.raises(
        BundleError, match=rf"^the rule set takes {size:,} bytes as a message, and at most {size - 1:,}"
    ):
        bundle_of(directory)


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"\xff", b'{"kind":"bundle"}', b"[" * 100_000])
def test_what_is_no_bundle_is_said_in_one_line(value: bytes) -> None:
    with pytest.raises(BundleError, match=r"^not a rule bundle: [^\n]+$"):
        bundles.decode(value)


def test_a_message_larger_than_a_record_may_be_is_not_looked_at() -> None:
    with pytest.raises(BundleError, match=r"^a rule bundle of 4,194,305 bytes"):
        bundles.decode(b" " * (bundles.MAX_BYTES + 1))


@pytest.mark.parametrize(
    "path",
    [
        "../a.yaml",
        "/a.yaml",
        "lists/../a.yaml",
        "lists/..",
        "a/b.yaml",
        "lists/a/b.yaml",
        ".a.yaml",
        "a.py",
        "a\0.yaml",
    ],
)
def test_a_file_that_no_rule_directory_has_is_refused(path: str) -> None:
    with pytest.raises(BundleError, match=r"a file that is none of a rule directory"):
        texts(packed({path: RULES}))


def test_files_that_unpack_to_more_than_the_limit_are_left_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = packed({"a.yaml": " " * 100_000})
    size = len(zlib.decompress(bundle.files))
    monkeypatch.setattr(bundles, "_MAX_UNPACKED", size)
    assert list(texts(bundle)) == ["a.yaml"]
    monkeypatch.setattr(bundles, "_MAX_UNPACKED", size - 1)
    with pytest.raises(BundleError, match="unpack to more than"):
        texts(bundle)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (b"words", "do not unpack"),
        (zlib.compress(b"{}")[:-1], "are cut off"),
        (zlib.compress(b"{}") + b"x", "have something behind them"),
        (zlib.compress(b'{"a.yaml":"other"}'), "are not those that it names"),
    ],
)
def test_damaged_files_are_noticed(files: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        texts(packed({"a.yaml": RULES}, files=files))


def test_files_that_are_no_texts_are_refused() -> None:
    text = b'{"a.yaml":1}'
    with pytest.raises(BundleError, match="cannot be read"):
        texts(packed({}, content=digest(text), files=zlib.compress(text)))


def test_at_most_a_thousand_files_are_taken() -> None:
    assert len(texts(packed({f"{n}.yaml": "" for n in range(1000)}))) == 1000
    with pytest.raises(BundleError, match=r"1,001 files"):
        texts(packed({f"{n}.yaml": "" for n in range(1001)}))


def test_a_bundle_that_holds_other_rules_than_it_says_is_refused(directory: Path) -> None:
    bundle, _ = bundle_of(directory)
    lying = msgspec.structs.replace(bundle, ruleset="sha256:" + "1" * 64)
    with pytest.raises(BundleError, match=r"says sha256:1{64} and holds sha256:"):
        ruleset_of(lying)


def test_published_rows_take_the_place_of_those_in_the_bundle_and_only_the_reference_changes(directory: Path) -> None:
    bundle, before = bundle_of(directory)
    rows = read_text("unit,note,card_no\n财政局,新卡,6222-0002\n".encode(), ("card_no",), "cards.csv")
    after = ruleset_of(bundle, {"cards": rows, "of_no_rule": rows})
    assert list(after.tables["cards"].rows) == [("62220002",)]
    assert after.reference != before.reference
    assert after.hash != before.hash
    assert after.rules == before.rules


def test_published_rows_without_a_declared_column_are_no_table_for_these_rules(directory: Path) -> None:
    bundle, _ = bundle_of(directory)
    with pytest.raises(TableError, match="has no column unit, which the rules declare"):
        ruleset_of(bundle, {"cards": read_text(b"card_no\n1\n", ("card_no",), "cards.csv")})
