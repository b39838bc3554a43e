"""Tables as text: read, changed row by row, and written so that rules read the same."""

from __future__ import annotations

import pytest

from treasury_watch.adapters.tables import TableError, TableText, no_rows, read_text

CARDS = "card_no,unit,since\n0001,教育局,2025-01-01\n0001,财政局,2025-07-01\n0002,教育局,2025-01-01\n"
IDENTITY = ("card_no", "since")


def table(text: str = CARDS, identity: tuple[str, ...] = IDENTITY) -> TableText:
    return read_text(text.encode(), identity, "cards.csv")


def test_a_table_is_written_in_the_order_of_its_rows_with_the_columns_asked_for() -> None:
    reversed_ = "\n".join([CARDS.split("\n")[0], *CARDS.split("\n")[:0:-1]])
    assert table(reversed_).csv() == CARDS
    assert table().csv(("since", "card_no")).startswith("since,card_no\n2025-01-01,0001\n")


@pytest.mark.parametrize("cell", ["a,b", 'say "yes"', " indented ", ",", '"'])
def test_a_cell_that_needs_quotes_comes_back_as_it_was(cell: str) -> None:
    written = TableText(("k", "v"), ("k",), {("1",): ("1", cell)})
    assert read_text(written.csv().encode(), ("k",), "t.csv") == written


def test_the_digest_is_that_of_the_content_in_whatever_order_it_is_written() -> None:
    other = "since,card_no,unit\n2025-01-01,0002,教育局\n2025-07-01,0001,财政局\n2025-01-01,0001,教育局\n"
    assert table(other).digest == table().digest
    assert table(CARDS.replace("0002", "0003")).digest != table().digest
    assert read_text(b"a,b\n1,2\n", ("a",), "t").digest != read_text(b"a,b\n1,2\n", ("b",), "t").digest


def test_rows_are_added_replaced_and_retired() -> None:
    put = table("card_no,since,unit\n0001,2025-07-01,审计局\n0003,2025-01-01,统计局\n")
    retired = table("card_no,since\n0002,2025-01-01\n")
    assert table().changed(put, retired).csv() == (
        "card_no,unit,since\n0001,教育局,2025-01-01\n0001,审计局,2025-07-01\n0003,统计局,2025-01-01\n"
    )


def test_a_column_that_a_change_does_not_have_keeps_its_cells() -> None:
    both = read_text(b"k,a,b\n1,x,y\n", ("k",), "t")
    changed = both.changed(read_text(b"k,b\n1,z\n2,w\n", ("k",), "t"), no_rows(("k",)))
    assert changed.csv() == "k,a,b\n1,x,z\n2,,w\n"


@pytest.mark.parametrize(
    ("put", "retired", "message"),
    [
        ("card_no,since\n", "card_no,since\n0009,2025-01-01\n", "there is no row `0009, 2025-01-01` to retire"),
        (CARDS, "card_no,since\n0002,2025-01-01\n", "`0002, 2025-01-01` is both changed and retired"),
        ("card_no,since,colour\n", "card_no,since\n", "no column colour: publish it whole"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(put: str, retired: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        table().changed(table(put), table(retired))


def test_a_change_of_rows_that_are_named_otherwise_is_refused() -> None:
    with pytest.raises(TableError, match="rows of the published table are named by card_no, since"):
        table().changed(table("card_no,unit,since\n", ("card_no",)), no_rows(("card_no",)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"cards\.csv:1: a column without a name"),
        (b"card_no,since,since\n", r"cards\.csv:1: a column without a name, or twice"),
        (b"card_no\n", r"cards\.csv:1: no column since, which names a row"),
        (b"card_no,since\n1\n", r"cards\.csv:2: 1 cells, expected 2: card_no,since"),
        (b'card_no,since\n"1,2\n', r"cards\.csv:2: a quote that is not closed"),
        (b"card_no,since\n1,2\n\n1,2\n", r"cards\.csv:4: `1, 2` stands twice"),
        ("card_no,since\n卡,2".encode("gb18030"), r"cards\.csv: not UTF-8"),
        (b" " * ((4 << 20) + 1), r"cards\.csv: more than 4,194,304 bytes"),
        (b"card_no,since\n" + b"".join(b"%d,2\n" % n for n in range(100_001)), r"100,001 rows, at most 100,000"),
    ],
)
def test_what_is_no_table_is_said_with_its_line(data: bytes, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_text(data, IDENTITY, "cards.csv")


def test_a_table_without_rows_is_one() -> None:
    assert table("card_no,since\n").rows == {}
    assert table("\ufeffcard_no,since\r\n1,2\r\n").rows == {("1", "2"): ("1", "2")}
