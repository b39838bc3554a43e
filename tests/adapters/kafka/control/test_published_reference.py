"""Tables that follow one another on the topic: whole, or what is different from the record before."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.adapters.keys import Office, office
from treasury_watch.adapters.approvals import Approvals, signed
from treasury_watch.adapters.kafka.control.reference import (
    NOTHING_BEFORE,
    ReferenceTables,
    TableMessage,
    encode,
    message_of,
    statement,
)
from treasury_watch.adapters.packing import packed
from treasury_watch.adapters.tables import TableError, TableText, read_text

KEY = ("card_no",)


def table(text: str) -> TableText:
    return read_text(text.encode(), KEY, "cards.csv")


FIRST = table("card_no,unit\n1,教育局\n2,财政局\n")
CHANGE = table("card_no,unit\n2,审计局\n3,统计局\n")
GONE = table("card_no\n1\n")


class Topic:
    def __init__(self, approvals: Approvals | None = None) -> None:
        self.reference = ReferenceTables(approvals or Approvals())
        self._next = 0

    def take(self, message: TableMessage, key: str = "cards") -> str | None:
        return self.bytes(encode(message), key)

    def bytes(self, value: bytes | None, key: str = "cards") -> str | None:
        self._next += 1
        return self.reference.take(self._next - 1, key.encode(), value)

    @property
    def cards(self) -> str:
        return self.reference.tables["cards"].csv()


def test_a_whole_table_and_what_changed_in_it_make_the_table() -> None:
    topic = Topic()
    assert topic.take(message_of("cards", FIRST, None, NOTHING_BEFORE)) is None
    before = topic.reference.tables
    assert topic.take(message_of("cards", CHANGE, before["cards"], 0, GONE)) is None
    assert topic.cards == "card_no,unit\n2,审计局\n3,统计局\n"
    assert before["cards"].csv() == FIRST.csv()
    assert topic.reference.offset == 1


def test_tables_follow_each_its_own_record() -> None:
    topic = Topic()
    topic.take(message_of("cards", FIRST, None, NOTHING_BEFORE))
    assert topic.take(message_of("units", FIRST, None, NOTHING_BEFORE), "units") is None
    assert topic.take(message_of("cards", CHANGE, FIRST, 0)) is None
    assert (topic.reference.after("cards"), topic.reference.after("units")) == (2, 1)


def test_of_two_changes_made_at_once_the_second_is_refused() -> None:
    topic = Topic()
    topic.take(message_of("cards", FIRST, None, NOTHING_BEFORE))
    topic.take(message_of("cards", CHANGE, FIRST, 0))
    refused = topic.take(message_of("cards", table("card_no,unit\n4,税务局\n"), FIRST, 0))
    assert refused == "another record of cards was published since this was made"
    assert "税务局" not in topic.cards


def test_a_whole_table_sent_again_later_is_refused_too() -> None:
    topic = Topic()
    first = message_of("cards", FIRST, None, NOTHING_BEFORE)
    topic.take(first)
    topic.take(message_of("cards", CHANGE, FIRST, 0))
    assert topic.take(first) == "another record of cards was published since this was made"
    assert topic.take(message_of("cards", FIRST, None, 1)) is None
    assert topic.cards == FIRST.csv()


def test_a_change_of_a_table_that_was_never_published_whole_is_refused() -> None:
    assert Topic().take(message_of("cards", CHANGE, FIRST, NOTHING_BEFORE)) == "cards was never published whole"


def test_both_have_to_sign(tmp_path: Path) -> None:
    people = office(tmp_path)
    topic, unsigned = Topic(people.approvals), message_of("cards", FIRST, None, NOTHING_BEFORE)
    assert topic.take(unsigned) == "the author has not signed"
    assert topic.take(by_both(unsigned, people)) is None
    forged = msgspec.structs.replace(
        message_of("cards", CHANGE, None, 1), signatures=by_both(unsigned, people).signatures
    )
    assert topic.take(forged) == "the author's signature is not of this"


def by_both(message: TableMessage, people: Office) -> TableMessage:
    said = statement(message)
    both = signed(signed({}, said, people.author, "author"), said, people.approver, "approver")
    return msgspec.structs.replace(message, signatures=both)


def test_rows_that_were_exchanged_behind_the_signatures_are_noticed() -> None:
    message = message_of("cards", FIRST, None, NOTHING_BEFORE)
    other = msgspec.structs.replace(message, put=packed(CHANGE.csv().encode()))
    assert Topic().take(other) == "the table that comes out is not the one that it names"


@pytest.mark.parametrize(
    ("put", "why"),
    [
        (b"words", "a table whose rows do not unpack"),
        (packed(b"unit\n1\n"), "cards:1: no column card_no"),
        (packed(b"x" * ((4 << 20) + 1)), "a table whose rows unpack to more than 4,194,304 bytes"),
    ],
)
def test_damaged_rows_are_told(put: bytes, why: str) -> None:
    message = msgspec.structs.replace(message_of("cards", FIRST, None, NOTHING_BEFORE), put=put)
    assert why in str(Topic().take(message))


@pytest.mark.parametrize("value", [None, b"", b"{}", b'{"kind":"table"}', b"\xff"])
def test_what_is_no_message_is_refused_and_the_next_is_taken(value: bytes | None) -> None:
    topic = Topic()
    assert isinstance(topic.bytes(value), str)
    assert topic.take(message_of("cards", FIRST, None, NOTHING_BEFORE)) is None


def test_a_record_under_the_name_of_another_table_is_refused() -> None:
    message = message_of("cards", FIRST, None, NOTHING_BEFORE)
    assert Topic().take(message, "units") == "its key is not the name of its table"


def test_a_table_that_fits_in_no_record_is_refused_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    from treasury_watch.adapters.kafka.control import reference

    size = len(encode(message_of("cards", FIRST, None, NOTHING_BEFORE)))
    monkeypatch.setattr(reference, "MAX_BYTES", size)
    message_of("cards", FIRST, None, NOTHING_BEFORE)
    monkeypatch.setattr(reference, "MAX_BYTES", size - 1)
    with pytest.raises(TableError, match=rf"^the table takes {size} bytes as a message"):
        message_of("cards", FIRST, None, NOTHING_BEFORE)
