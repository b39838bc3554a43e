"""The applied log: by what each payment is judged, and what is to be applied again."""

from __future__ import annotations

import pytest

from treasury_watch.adapters.kafka.control.applied import (
    Applied,
    AppliedError,
    AppliedLog,
    Disposed,
    Entry,
    Place,
    Seen,
    Standing,
    Switched,
    Unused,
    decode,
    encode,
)

RULES = [Place("treasury.rules", 0, offset, "sha256:0") for offset in range(3)]
DECIDED = Place("treasury.dispositions", 1, 0, "sha256:0")


def standing(number: int) -> Standing:
    return Standing(RULES[number], number, None, f"R{number}", f"R{number}", "T")


def switched(first: int, number: int) -> Applied:
    return Switched(input=RULES[number], first=first, applied_at="now", standing=standing(number), seen=Seen(number))


def disposed(first: int, number: int) -> Applied:
    return Disposed(
        input=DECIDED, first=first, applied_at="now", standing=standing(number), seen=Seen(), disposition_id="D"
    )


def unused(first: int, number: int) -> Applied:
    return Unused(input=RULES[2], first=first, applied_at="now", standing=standing(number), seen=Seen(2), reason="no")


def log(*applied: Applied) -> AppliedLog:
    return AppliedLog(Entry(offset, each) for offset, each in enumerate(applied))


@pytest.mark.parametrize("record", [switched(0, 1), disposed(5, 0), unused(5, 0)])
def test_a_record_comes_back_from_its_bytes(record: Applied) -> None:
    assert decode(encode(record)) == record


@pytest.mark.parametrize("value", [None, b"", b"{}", b'{"kind":"rules"}', b"\xff"])
def test_a_record_that_cannot_be_read_is_an_error_and_not_passed_over(value: bytes | None) -> None:
    with pytest.raises(AppliedError, match="a record of the applied log cannot be read"):
        decode(value)


def test_a_payment_is_judged_by_the_last_rules_that_count_from_it_on_or_before() -> None:
    found = log(switched(0, 0), switched(10, 1), switched(10, 2))
    assert [found.standing_at(offset) for offset in (0, 9, 10, 11)] == [standing(each) for each in (0, 0, 2, 2)]
    assert found.standing == standing(2)


def test_what_was_before_the_first_record_is_judged_as_with_it() -> None:
    assert log(switched(10, 1)).standing_at(3) == standing(1)
    assert not log(switched(10, 1)).reaches(10)
    assert log(switched(10, 1)).reaches(11)


def test_an_empty_log_says_nothing() -> None:
    assert (log().standing, log().standing_at(5), log().seen, log().since(0)) == (None, None, Seen(), [])
    assert not log().reaches(0)


def test_with_the_state_of_an_offset_later_changes_are_applied_again_and_dispositions_of_that_offset() -> None:
    found = log(switched(0, 0), disposed(9, 0), disposed(10, 0), switched(10, 1), unused(11, 1), switched(12, 2))
    assert [each.offset for each in found.since(10)] == [2, 4, 5]
    assert [each.offset for each in found.since(11)] == [5]
    assert [each.offset for each in found.since(12)] == []


def test_a_stored_state_goes_through_all_changes_of_rules_before_a_payment_again_where_there_was_more_than_one() -> (
    None
):
    found = log(switched(0, 0), disposed(10, 0), switched(10, 1), unused(10, 1), switched(10, 2), switched(12, 0))
    before, entries = found.behind_state(10)
    assert (before, [each.offset for each in entries]) == (standing(0), [1, 2, 3, 4, 5])
    for position in (9, 11, 12):
        assert found.behind_state(position) == (found.standing_at(position), found.since(position))
    assert log(switched(3, 0), switched(3, 1)).behind_state(3)[0] == standing(0)
    assert log().behind_state(3) == (None, [])


def test_a_log_that_goes_back_is_an_error() -> None:
    log(switched(5, 0), switched(5, 1))
    with pytest.raises(AppliedError, match="goes back"):
        log(switched(5, 0), switched(4, 1))
