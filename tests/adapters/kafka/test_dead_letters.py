"""Dead letters as they are shown and chosen."""

from __future__ import annotations

from dataclasses import replace

from treasury_watch.adapters.kafka.dead_letters import ALL, DeadLetter, Selection

LETTER = DeadLetter(
    partition=2,
    offset=7,
    reason="wrong_key",
    detail="账号6222021234567890123",
    instruction_id="PI-1",
    source_topic="treasury.payments",
    source_partition=2,
    source_offset=41,
    failed_at="2025-03-05T04:00:00.000Z",
    key="卡6222021234567890123".encode() + b"\xff",
    value=b"{}",
)


def test_what_is_shown_masks_long_numbers_and_leaves_the_message_out() -> None:
    assert LETTER.row() == {
        "partition": 2,
        "offset": 7,
        "reason": "wrong_key",
        "detail": "账号***************0123",
        "key": "卡***************0123\ufffd",
        "instruction_id": "PI-1",
        "source_topic": "treasury.payments",
        "source_partition": 2,
        "source_offset": 41,
        "failed_at": "2025-03-05T04:00:00.000Z",
    }
    assert replace(LETTER, key=None).row()["key"] is None


def test_a_selection_means_reasons_and_positions_and_nothing_said_means_all() -> None:
    assert LETTER in ALL
    assert LETTER in Selection(reasons=["schema", "wrong_key"])
    assert LETTER not in Selection(reasons=["schema"])
    assert LETTER in Selection(positions=[(2, 7)])
    assert LETTER not in Selection(positions=[(7, 2)])
    assert LETTER not in Selection(reasons=["schema"], positions=[(2, 7)])
