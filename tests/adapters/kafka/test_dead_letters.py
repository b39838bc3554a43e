"""Dead letters as they are shown and chosen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.builders import make_instruction
from treasury_watch.adapters.kafka import dead_letters
from treasury_watch.adapters.kafka.dead_letters import ALL, DeadLetter, Selection, redrive
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import encode_instruction

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


async def test_what_was_refused_more_than_once_is_sent_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a message that is refused again each time would be there twice, four times, eight times as often."""
    late = encode_instruction(make_instruction(instruction_id="PI-1"))
    letters = [
        replace(LETTER, offset=7, reason="too_late", value=late),
        replace(LETTER, offset=8, reason="too_late", value=late),  # what became of sending it again
        replace(LETTER, offset=9, value=encode_instruction(make_instruction(instruction_id="PI-2"))),
        replace(LETTER, offset=10, value=b"{}"),
    ]
    sent: list[Any] = []

    async def there(*_: Any) -> AsyncIterator[DeadLetter]:
        for each in letters:
            yield each

    async def send(settings: Settings, producer: Any, messages: list[Any]) -> None:
        sent.extend(messages)

    async def right(settings: Settings) -> None: ...

    @asynccontextmanager
    async def producer(settings: Settings) -> AsyncIterator[None]:
        yield None

    for name, made in {
        "dead_letters": there,
        "send_payments": send,
        "check_payments": right,
        "payments_producer": producer,
    }.items():
        monkeypatch.setattr(dead_letters, name, made)
    done = await redrive(Settings(), "jurisdiction")
    assert [(value, headers[0][1]) for _, value, headers in sent] == [(late, b"2:7"), (letters[2].value, b"2:9")]
    assert done.sent == 2
    assert [letter.offset for letter, _ in done.still_refused] == [10]
